"""Has this machine measured with each base model, once, while nothing is being trained.

Starts and ends the calibration's process; what it measures is the matter of `engine/calibration.py`. Driven
by the worker's loop. Does not know estimates.
"""

import logging
import threading
from pathlib import Path

from engine.calibration import find_calibration
from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, Machine
from engine.machine import read_machine
from engine.models.bundled import BUNDLED
from engine.models.catalog import get_model
from engine.models.inspect import fingerprint
from engine.processes import Child, start_module, take_lock, usable_cores
from engine.workspace import Workspace

log = logging.getLogger(__name__)


class Calibrator:
    """At most one measurement at a time; a run that begins ends it, and it is made later."""

    def __init__(self, workspace: Workspace, enabled: bool = True) -> None:
        self._workspace = workspace
        self._enabled = enabled
        self._lock = threading.Lock()
        self._wanted: list[str] = []
        self._failed: set[str] = set()
        self._child: Child | None = None
        self._measuring: str | None = None

    @property
    def is_busy(self) -> bool:
        return self._child is not None

    def machine(self, base_model: str) -> Machine:
        """The machine, and whether it has been measured with this base model."""
        machine = read_machine(self._workspace, calibrated=False)
        try:
            known = find_calibration(self.file(base_model), machine)
        except EngineFailure:
            return machine
        return machine.model_copy(update={"calibrated": known is not None})

    def want(self, base_model: str) -> None:
        """Measure with this base model when there is time, unless that is done or has failed."""
        with self._lock:
            if base_model not in self._wanted and base_model not in self._failed:
                self._wanted.append(base_model)

    def tick(self, idle: bool) -> None:
        if self._child is not None:
            self._look_after(self._child, idle)
        elif idle and self._enabled:
            self._start_next()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def file(self, base_model: str) -> Path:
        folder = get_model(self._workspace, base_model)
        return self._workspace.calibrations / f"{fingerprint(folder)}.json"

    def _look_after(self, child: Child, idle: bool) -> None:
        exit_code = child.poll()
        if exit_code is None:
            if not idle:
                self.close()
            return
        self._child = None
        if self._measuring and not self._is_done(self._measuring):
            log.warning("measuring this machine with %s failed with code %s", self._measuring, exit_code)
            self._failed.add(self._measuring)

    def _start_next(self) -> None:
        with self._lock:
            # The bundled one is wanted still once it is unpacked.
            ready = (name for name in self._wanted if name != BUNDLED_MODEL or BUNDLED.is_complete())
            base_model = next(ready, None)
            if base_model is None:
                return
            if base_model in self._failed or self._is_done(base_model):
                self._wanted.remove(base_model)
                return
        self._start(base_model)

    def _is_done(self, base_model: str) -> bool:
        try:
            get_model(self._workspace, base_model)
        except EngineFailure:
            return True
        return self.machine(base_model).calibrated

    def _start(self, base_model: str) -> None:
        folder = get_model(self._workspace, base_model)
        self._workspace.calibrations.mkdir(mode=0o700, exist_ok=True)
        lock = take_lock(self._workspace.calibrations / "lock")
        if lock is None:
            return  # One of an earlier engine is still at it; two at once would measure each other.
        arguments = ["--workspace", str(self._workspace.root), "--model-folder", str(folder)]
        self._measuring = base_model
        self._child = start_module(
            "engine.calibration",
            [*arguments, "--fingerprint", fingerprint(folder)],
            folder=self._workspace.root,
            log=self._workspace.root / "logs" / "calibration.log",
            threads=usable_cores(),
            lock=lock,
            trains=True,
        )
