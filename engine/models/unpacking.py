"""A GGUF file unpacked once into this machine's cache, shared by all workspaces.

    MODEL-SOURCE-vFORMAT/   what `gguf_import.py` writes, and CERTIFICATE, which is written last:
                            {"source": sha256, "files": {name: [bytes, sha256, mtime_ns]}}

An unpacking counts only with its certificate; what does not match it is made again. Knows files, hashes and
locks. Does not know what a model is; numpy and the tokenizer library are imported when something is unpacked.
"""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from engine import faults
from engine.contract.failures import EngineFailure, Failure
from engine.models.hashes import file_sha256, keep_sha256, read_sha256
from engine.processes import take_lock
from engine.workspace import publish_folder, write_durably

Progress = Callable[[int, int], None]
"""Told the bytes written so far and in all."""

FORMAT = 3
"""Grows whenever a file would be unpacked otherwise: an older unpacking is then another folder."""
# No suffix: what carries a suffix of a model's files counts for the model's fingerprint.
CERTIFICATE = "CERTIFICATE"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Hashes of what was written are taken in silence, of 20 GB for minutes.
_LOCK_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_failures: dict[Path, Failure] = {}
"""Folder -> why this process could not have it unpacked."""
_DAMAGE = (OSError, ValueError, KeyError, TypeError)


def cache_folder() -> Path:
    return user_cache_path("voicewright") / "models"


@dataclass(frozen=True)
class Unpacking:
    """One GGUF file and the folder that it becomes."""

    name: str
    source: Path
    source_sha256: str

    @classmethod
    def of(cls, source: Path, source_sha256: str) -> "Unpacking":
        """Of a person's file, called as that is."""
        return cls(re.sub(r"[^\w.-]+", "-", source.stem)[:60] or "model", source, source_sha256)

    @property
    def folder(self) -> Path:
        return cache_folder() / f"{self.name}-{self.source_sha256[:8]}-v{FORMAT}"

    @property
    def failure(self) -> Failure | None:
        """Why this process could not have it unpacked when it last tried."""
        return _failures.get(self.folder)

    def note_failure(self, failure: Failure | None) -> None:
        """None once it is there, or shall be tried again."""
        if failure is None:
            _failures.pop(self.folder, None)
        else:
            _failures[self.folder] = failure

    def is_complete(self) -> bool:
        """Whether all files are there as they were written, by their sizes and times."""
        try:
            return all(
                _identity(self.folder / name) == (size, modified)
                for name, (size, _, modified) in self._certified().items()
            )
        except _DAMAGE:
            return False

    def is_intact(self) -> bool:
        """Whether the content of every file is what was written; its hashes are kept while it stays."""
        try:
            certified = self._certified()
            return self.is_complete() and all(
                read_sha256(self.folder / name) == sha256 for name, (_, sha256, _) in certified.items()
            )
        except _DAMAGE:
            return False

    def make(self, progress: Progress) -> None:
        """Unpack unless it is there and intact; of several at once one does it, and the others wait.

        Raises EngineFailure: "disk_full", "workspace_unusable" if the cache cannot be written,
        "model_unusable" if the file is not what it was.
        """
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            with _locked(self._lock, self._watch):
                if not self.is_intact():
                    self._unpack(progress)
        except OSError as error:
            raise _describe(error, self.name) from error

    def remove(self) -> None:
        """Take it out of the cache, unless another process is at it; who still needs it has it made again."""
        try:
            lock = take_lock(self._lock)
        except OSError:
            return  # There is no cache, or none that can be written.
        if lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(lock)

    @property
    def _lock(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.lock")

    @property
    def _writing(self) -> Path:
        return self.folder.with_name(f".unpacking-{self.folder.name}")

    def _watch(self) -> object:
        """Another value for as long as whoever is unpacking gets on."""
        try:
            return [_identity(file) for file in sorted(self._writing.iterdir())]
        except OSError:
            return None

    def _unpack(self, progress: Progress) -> None:
        from engine.models.gguf_import import import_gguf

        if not self.source.exists() or file_sha256(self.source) != self.source_sha256:
            raise EngineFailure(
                "model_unusable",
                f"The file {self.source} is missing or not what it was.",
                "Your projects are safe.",
                "Put the former file back or add this one as another model; "
                "if it came with Voicewright, install that again.",
            )
        writing = self._writing
        with _removed_on_failure(writing):
            import_gguf(self.source, writing, progress)
            faults.reach("unpacked")
            files = {file.name: _describe_file(file) for file in sorted(writing.iterdir())}
            certificate = {"source": self.source_sha256, "files": files}
            write_durably(writing / CERTIFICATE, json.dumps(certificate).encode())
            publish_folder(writing, self.folder)
        for name, (_, sha256, _) in files.items():
            keep_sha256(self.folder / name, sha256)
        self._remove_older()

    def _certified(self) -> dict[str, list[Any]]:
        certificate = json.loads((self.folder / CERTIFICATE).read_bytes())
        if certificate["source"] != self.source_sha256:
            raise ValueError("unpacked from another file")
        return dict(certificate["files"])

    def _remove_older(self) -> None:
        """What an older version of the product has unpacked of this model."""
        for folder in cache_folder().glob(f"{self.name}-*-v*"):
            number = folder.name.rpartition("-v")[2]
            if number.isdigit() and int(number) < FORMAT:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """A new folder, which is there in the end only if all went well (and it was not renamed)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _locked(file: Path, watch: Callable[[], object]) -> Iterator[None]:
    """Waits for another holder as long as `watch` changes, and `_LOCK_SECONDS` from then on."""
    seen, deadline = watch(), time.monotonic() + _LOCK_SECONDS
    while (lock := take_lock(file)) is None:
        if (now := watch()) != seen:
            seen, deadline = now, time.monotonic() + _LOCK_SECONDS
        if time.monotonic() > deadline:
            raise EngineFailure(
                "busy", "Another Voicewright is unpacking this model and does not finish.", "", "Try again."
            )
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        os.close(lock)


def _describe_file(file: Path) -> tuple[int, str, int]:
    size, modified = _identity(file)
    return size, read_sha256(file), modified


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _describe(error: OSError, name: str) -> EngineFailure:
    if has_no_room(error):
        return EngineFailure(
            "disk_full",
            f"There is no room on the disk to unpack the base model “{name}”.",
            "Nothing is lost.",
            f"Free some space (the models lie in {cache_folder()}) and try again.",
        )
    return EngineFailure(
        "workspace_unusable",
        f"The base model “{name}” cannot be unpacked into {cache_folder()} ({error.strerror}).",
        "Nothing is lost.",
        "Make this folder writable, or name another one in the variable XDG_CACHE_HOME.",
    )


def has_no_room(error: BaseException | None) -> bool:
    """Whether a full disk, or a limit on what may be written, stands behind an error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
