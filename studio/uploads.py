"""A model file that was dropped on the page, kept in the workspace so that the engine can read it.

Does not know what is in the file.
"""

import re
from contextlib import suppress
from pathlib import Path

from engine.contract.failures import EngineFailure

FOLDER = "models"
GGUF_MAGIC = b"GGUF"


def keep_upload(workspace: Path, name: str, data: memoryview) -> Path:
    """Write it under its own name; the same file again replaces itself."""
    if bytes(data[: len(GGUF_MAGIC)]) != GGUF_MAGIC:
        raise EngineFailure(
            "model_unusable",
            "This file is no GGUF file.",
            "Nothing was changed.",
            "Choose one that ends in .gguf and was downloaded completely.",
        )
    plain = re.sub(r"[^\w.+-]", "-", Path(name).name).lstrip(".-")[-100:] or "model.gguf"
    target = workspace / FOLDER / plain
    part = target.with_name(f".{plain}.part")
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part.write_bytes(data)
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
    return target
