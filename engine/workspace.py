"""Where everything of a workspace lies on disk: the one resolver from ids to paths.

No path ever comes from a request: callers hand over ids, and an id that is not a uuid4 hex is refused
before it meets the file system. This module creates folders and writes files durably; it does not know
what is in them.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine import faults
from engine.contract.failures import EngineFailure

ASSETS = Path(__file__).resolve().parent.parent / "assets"
_ID = re.compile(r"[0-9a-f]{32}")


def _checked(identifier: str) -> str:
    if not _ID.fullmatch(identifier):
        raise EngineFailure("bad_request", "That address names nothing of this workspace.")
    return identifier


@dataclass(frozen=True)
class Workspace:
    """The folder tree of one workspace. `root` is absolute and belongs to the person alone (0700)."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "voicewright.db"

    @property
    def engine_lock(self) -> Path:
        return self.root / "engine.lock"

    @property
    def engine_address(self) -> Path:
        """`engine.json`, mode 0600: {"port", "token", "pid", "version"}; there while an engine serves."""
        return self.root / "engine.json"

    @property
    def engine_log(self) -> Path:
        return self.root / "logs" / "engine.log"

    @property
    def generator_log(self) -> Path:
        return self.root / "logs" / "generator.log"

    @property
    def trainer_log(self) -> Path:
        """What the newest trainer said before it had a run, whose own log it writes from then on."""
        return self.root / "logs" / "trainer.log"

    @property
    def calibrations(self) -> Path:
        """Measured rates of this machine, one JSON file per base model."""
        return self.root / "calibrations"

    @property
    def uploads(self) -> Path:
        """GGUF files that were dropped on a page: copies of ours, which go with their model."""
        return self.root / "models"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def dataset(self, dataset_id: str) -> Path:
        """JSON lines of `contract.records.Example`, frozen at creation."""
        return self.datasets / f"{_checked(dataset_id)}.jsonl"

    def run(self, run_id: str) -> "RunFolder":
        return RunFolder(self.root / "runs" / _checked(run_id))

    def create(self) -> None:
        """Make the tree, or raise EngineFailure("workspace_unusable") with a sentence."""
        try:
            for folder in (self.root, self.datasets, self.root / "runs", self.root / "logs"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.root / f".writable-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise EngineFailure(
                "workspace_unusable",
                f"The folder for your projects, {self.root}, cannot be written ({error.strerror}).",
                "Nothing was changed.",
                "Choose another folder with --workspace, or make this one writable.",
            ) from error


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. The trainer writes all but `order.json` and `lock`; the engine reads."""

    root: Path

    @property
    def order(self) -> Path:
        """What the attempt shall do (`run_files.Order`)."""
        return self.root / "order.json"

    @property
    def lock(self) -> Path:
        """Held with flock by the trainer for as long as it lives: the only sign of life that counts."""
        return self.root / "lock"

    @property
    def journal(self) -> Path:
        """JSON lines of `run_files.JournalLine`, appended by every attempt; a torn last line is dropped."""
        return self.root / "metrics.jsonl"

    @property
    def result(self) -> Path:
        """How the last attempt ended (`run_files.Result`); written last, atomically."""
        return self.root / "result.json"

    @property
    def log(self) -> Path:
        return self.root / "trainer.log"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def artefact(self) -> Path:
        """The method's standard artefact: a PEFT adapter folder, or a transformers model folder."""
        return self.root / "artefact"

    @property
    def download(self) -> Path:
        return self.root / "voice.zip"

    @property
    def export_order(self) -> Path:
        """What the export process shall do (`run_files.ExportOrder`), written by the engine."""
        return self.root / "export-order.json"

    @property
    def export_choice(self) -> Path:
        """`contract.records.ExportChoice` as the person made it; absent until then."""
        return self.root / "export-choice.json"

    @property
    def export_report(self) -> Path:
        """`contract.records.Export` as written by the export process."""
        return self.root / "export.json"


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` with `data` so that a crash leaves the old file or the new one, never a part.

    Temporary name, fsync of the file, rename, fsync of the folder; an OSError is the caller's to report.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_folder(writing: Path, final: Path) -> None:
    """Make every file of `writing` durable, then give the folder its name at once; a former one gives way."""
    for file in writing.rglob("*"):
        if file.is_file():
            sync_file(file)
    publish_synced(writing, final)


def publish_synced(writing: Path, final: Path) -> None:
    """The same for a folder whose files are durable already."""
    sync_folder(writing)
    if final.exists():
        shutil.rmtree(final)
    faults.reach("publish_rename")
    writing.rename(final)
    sync_folder(final.parent)
