"""A model file that was dropped on the page, kept in the workspace so that the engine can read it.

Does not know what is in the file.
"""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from engine.contract.failures import EngineFailure

FOLDER = "models"
GGUF_MAGIC = b"GGUF"
_CHUNK_BYTES = 1 << 24
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Upload:
    path: Path
    is_new: bool
    """Whether these bytes were not kept here before, so that no model can have been made of them."""

    def discard(self) -> None:
        """Remove it if it was only kept now."""
        if self.is_new:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


def keep_upload(workspace: Path, name: str, data: memoryview) -> Upload:
    """Write it as HASH-NAME, where HASH is of its bytes: only the same bytes ever replace it."""
    if bytes(data[: len(GGUF_MAGIC)]) != GGUF_MAGIC:
        raise EngineFailure(
            "model_unusable",
            "This file is no GGUF file.",
            "Nothing was changed.",
            "Choose one that ends in .gguf and was downloaded completely.",
        )
    plain = re.sub(r"[^\w.+-]", "-", Path(name).name).lstrip(".-")[-100:] or "model.gguf"
    part = workspace / FOLDER / f".{uuid4().hex}.part"
    try:
        part.parent.mkdir(mode=0o700, exist_ok=True)
        target = part.with_name(f"{_write(part, data)[:_HASH_DIGITS]}-{plain}")
        is_new = not target.exists()
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise EngineFailure(
            "disk_full",
            f"The file could not be kept ({error.strerror}).",
            "Nothing was changed.",
            "Make room on the disk, or give the path of the file instead.",
        ) from error
    return Upload(target, is_new)


def _write(file: Path, data: memoryview) -> str:
    """Onto the disk; its sha256."""
    sha256 = hashlib.sha256()
    with file.open("xb") as stream:
        for start in range(0, len(data), _CHUNK_BYTES):
            chunk = data[start : start + _CHUNK_BYTES]
            stream.write(chunk)
            sha256.update(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return sha256.hexdigest()
