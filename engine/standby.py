"""The trainer kept ready: while nothing is going on, one process has loaded all and waits for a run.

A run that begins takes it, and another is made ready when all is quiet again; without one, a trainer is
started for the run itself. Driven by the worker's loop. Does not know states or the database.
"""

import logging
import os
import time
from pathlib import Path

from engine.machine import read_memory
from engine.processes import Child, child_environment, start_module, usable_cores
from engine.run_files import Assignment
from engine.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)

TRAINER = "engine.trainer"
QUIET_SECONDS = 1.0
"""With nothing to do, before one is made ready: what begins just now needs the processor more."""
# One that waits holds 0.4 GB of its own, which other programs shall have as soon as they need it.
PLENTY_BYTES = 2_500_000_000
SCARCE_BYTES = 1_000_000_000


class Standby:
    """At most one trainer without a run."""

    def __init__(self, workspace: Workspace, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._workspace = workspace
        self._quiet_seconds = quiet_seconds
        self._quiet_since = time.monotonic()
        self._child: Child | None = None
        self._environment: dict[str, str] = {}
        self._has_failed = False

    def tick(self, idle: bool) -> None:
        now = time.monotonic()
        if not idle:
            self._quiet_since = now
        if self._child is not None:
            self._look_after(self._child)
        elif idle and now - self._quiet_since >= self._quiet_seconds and not self._has_failed:
            self._make_ready()

    def train(self, folder: RunFolder, lock: int) -> Child:
        """A trainer on this run, which takes its lock over; OSError if none can be started."""
        order = Assignment(run_folder=folder.root, ordered_at=time.monotonic()).model_dump_json()
        try:
            with folder.log.open("ab") as words:
                handed = (lock, words.fileno())
                waiting = self._take()
                if waiting is not None and waiting.hand_over(order, handed):
                    return waiting
                _end(waiting)
                child = self._start(folder.root, folder.log)
                # If it has died already, that is found out like any other death.
                child.hand_over(order, handed)
                return child
        finally:
            os.close(lock)

    def close(self) -> None:
        _end(self._child)
        self._child = None

    def _take(self) -> Child | None:
        """The one that waits, unless a trainer started now would be another."""
        child, self._child = self._child, None
        self._has_failed = False
        if child is not None and self._environment != child_environment(usable_cores(), trains=True):
            _end(child)
            return None
        return child

    def _look_after(self, child: Child) -> None:
        exit_code = child.poll()
        if exit_code is not None:
            log.warning("the trainer kept ready ended with code %s", exit_code)
            self._child, self._has_failed = None, True
        elif available_memory() < SCARCE_BYTES:
            log.info("memory is scarce: no trainer is kept ready")
            self.close()

    def _make_ready(self) -> None:
        if available_memory() < PLENTY_BYTES:
            return
        words = self._workspace.trainer_log
        words.write_bytes(b"")
        self._environment = child_environment(usable_cores(), trains=True)
        self._child = self._start(self._workspace.root, words)

    def _start(self, folder: Path, words: Path) -> Child:
        workspace = str(self._workspace.root)
        return start_module(
            TRAINER, [workspace], folder=folder, log=words, threads=usable_cores(), trains=True
        )


def available_memory() -> int:
    return read_memory()[1]


def _end(child: Child | None) -> None:
    if child is not None:
        child.kill()
        child.wait()
