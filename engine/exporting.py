"""Has the download of every finished run built and checked, one at a time, by a process of its own.

The report file says where a download stands; one that is neither ready nor failed, with no process behind it,
is work left over from an earlier engine and is begun again. Driven by the worker's loop. Does not know what
is in the download.
"""

import json
import logging
import threading

from pydantic import ValidationError

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import Export, ExportChoice, Run
from engine.models.catalog import describe_model, get_model
from engine.processes import Child, kill_module, start_module, take_lock, usable_cores
from engine.run_files import ExportOrder
from engine.store import Store
from engine.workspace import RunFolder, Workspace, write_durably

log = logging.getLogger(__name__)

EXPORT = "engine.export"

_NOT_MADE = Failure(
    code="unexpected",
    what_happened="The download could not be put together.",
    what_you_have="The tuned voice itself is safe and can be compared.",
    what_to_do="Try once more; if it fails again, check that the disk has room.",
)


class Exporter:
    """The downloads of one workspace."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._workspace = workspace
        self._store = store
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._run_id: str | None = None
        self._settled: set[str] = set()

    @property
    def is_busy(self) -> bool:
        return self._child is not None

    def report(self, run: Run) -> Export:
        """Where the download stands. A report of `ready` counts only while its file is there."""
        folder = self._workspace.run(run.id)
        if run.state != "succeeded":
            return Export(includes_base=_wants_base(folder))
        report = _read_report(folder)
        if report.state == "none":
            return Export(state="building", includes_base=_wants_base(folder))
        is_missing = not folder.download.exists() or folder.download.stat().st_size != report.bytes
        is_stale = _is_outdated(folder) or (report.state == "ready" and is_missing)
        current = Export(state="building") if is_stale else report
        return current.model_copy(update={"includes_base": _wants_base(folder)})

    def choose(self, run: Run, choice: ExportChoice) -> None:
        """Remember what the download shall hold, also before the run has ended; what is made otherwise now
        is given up. EngineFailure, and nothing changes, where its base model is not here any more."""
        folder = self._workspace.run(run.id)
        if _wants_base(folder) == choice.include_base:
            return
        get_model(self._workspace, run.recipe.base_model)
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(folder.export_choice, choice.model_dump_json().encode())
        with self._lock:
            self._settled.discard(run.id)
            if self._run_id == run.id and self._child is not None:
                self._child.kill()

    def want(self, run: Run) -> Export:
        """Build it (again) unless it is ready or being built."""
        report = self.report(run)
        if run.state == "succeeded" and report.state != "ready":
            with self._lock:
                if self._run_id != run.id:
                    self._workspace.run(run.id).export_report.unlink(missing_ok=True)
                    self._settled.discard(run.id)
        return self.report(run)

    def release(self, run_id: str) -> bool:
        """Stop building this download, because its run is being removed; True while it is still held."""
        if self._run_id != run_id or self._child is None:
            return False
        self._child.kill()
        return self._child.poll() is None

    def tick(self) -> None:
        if self._child is not None:
            self._look_after(self._child)
        if self._child is None:
            self._start_next()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = self._run_id = None

    def _look_after(self, child: Child) -> None:
        exit_code = child.poll()
        if exit_code is None or self._run_id is None:
            return
        folder = self._workspace.run(self._run_id)
        is_told = _read_report(folder).state in ("ready", "failed")
        if folder.root.exists() and not is_told and not _is_outdated(folder):
            log.warning("the export of run %s ended with code %s", self._run_id, exit_code)
            _write_report(folder, Export(state="failed", failure=_NOT_MADE))
        self._child = self._run_id = None

    def _start_next(self) -> None:
        for run in self._store.runs_in(["succeeded"]):
            if run.id in self._settled or run.desired == "delete":
                continue
            if self.report(run).state in ("ready", "failed"):
                self._settled.add(run.id)
                continue
            self._start(run)
            return

    def _start(self, run: Run) -> None:
        folder = self._workspace.run(run.id)
        if not self._write_order(run, folder):
            return
        lock = take_lock(folder.lock)
        if lock is None:
            # An export of an earlier engine: two in one folder would spoil each other's work.
            kill_module(EXPORT, str(folder.root))
            return
        folder.export_report.unlink(missing_ok=True)
        with self._lock:
            self._run_id = run.id
            self._child = start_module(
                EXPORT,
                [str(folder.root)],
                folder=folder.root,
                log=folder.root / "export.log",
                threads=usable_cores(),
                lock=lock,
            )

    def _write_order(self, run: Run, folder: RunFolder) -> bool:
        try:
            order = self._order(run).model_dump_json().encode()
            # First: beside the new order an older report would pass for what is ordered now.
            folder.export_report.unlink(missing_ok=True)
            write_durably(folder.export_order, order)
        except (OSError, EngineFailure) as error:
            failure = error.failure if isinstance(error, EngineFailure) else _NOT_MADE
            # What was made before the choice is offered again.
            folder.export_choice.unlink(missing_ok=True)
            if self.report(run).state != "ready":
                _write_report(folder, Export(state="failed", failure=failure))
            return False
        return True

    def _order(self, run: Run) -> ExportOrder:
        model_folder = get_model(self._workspace, run.recipe.base_model)
        model = describe_model(run.recipe.base_model, model_folder)
        return ExportOrder(
            project_name=self._store.get_project(run.project_id).name,
            run=run,
            dataset=self._store.get_dataset(run.dataset_id),
            dataset_file=self._workspace.dataset(run.dataset_id),
            base_model_folder=model_folder,
            base_model=model,
            include_base=_wants_base(self._workspace.run(run.id)),
        )


def _wants_base(folder: RunFolder) -> bool:
    """As the person chose; else as it was made before; else the adapter alone."""
    try:
        return ExportChoice.model_validate_json(folder.export_choice.read_bytes()).include_base
    except (OSError, ValidationError):
        return _ordered_base(folder)


def _ordered_base(folder: RunFolder) -> bool:
    """Whether the newest order for this download, of whichever version, had the base inside."""
    try:
        return json.loads(folder.export_order.read_bytes()).get("include_base") is True
    except (OSError, ValueError, AttributeError):
        return False


def _is_outdated(folder: RunFolder) -> bool:
    """Whether another choice was made since the download was ordered."""
    return _wants_base(folder) != _ordered_base(folder)


def _read_report(folder: RunFolder) -> Export:
    try:
        return Export.model_validate_json(folder.export_report.read_bytes())
    except (OSError, ValidationError):
        return Export()


def _write_report(folder: RunFolder, report: Export) -> None:
    write_durably(folder.export_report, report.model_dump_json().encode())
