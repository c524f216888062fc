"""Has models of this machine checked and added to the catalogue, one at a time, by a process of its own.

Checking may read gigabytes, and a model is somebody else's file: neither is done in the supervisor. Does not
know what a model must hold (`engine/models/`).
"""

import json
import logging
import threading
import time
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import BaseModelInfo, ModelAddition, NewModel
from engine.models.catalog import discard_upload
from engine.processes import Child, start_module, usable_cores
from engine.workspace import Workspace

log = logging.getLogger(__name__)

LIMIT_SECONDS = 1800.0
_REMEMBERED = 10

_NOT_ADDED = Failure(
    code="unexpected",
    what_happened="The model could not be checked.",
    what_you_have="Nothing was changed.",
    what_to_do="Try once more; if it fails again, choose another model.",
)
_TOO_LONG = Failure(
    code="model_unusable",
    what_happened="Checking the model took longer than half an hour and was given up.",
    what_you_have="Nothing was changed.",
    what_to_do="Copy the model to a faster disk, or choose a smaller one.",
)


class ModelAdder:
    """The additions of one engine; the last few are remembered until it leaves."""

    def __init__(self, workspace: Workspace, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._workspace = workspace
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._additions: list[ModelAddition] = []
        self._started: dict[str, float] = {}
        self._child: Child | None = None

    def start(self, new: NewModel) -> ModelAddition:
        """Begin to check it; the same path again, while that goes on, is the same addition."""
        path = _existing(new.path)
        with self._lock:
            going_on = next((one for one in self._additions if one.state == "checking"), None)
            if going_on and going_on.path == str(path):
                return self._now(going_on)
            if going_on:
                raise EngineFailure(
                    "busy",
                    "Another model is being checked at the moment.",
                    "Nothing was changed.",
                    "Wait until that is done, and add this one then.",
                )
            addition = ModelAddition(id=uuid4().hex, path=str(path))
            self._child = self._start_child(path, new.name)
            self._started[addition.id] = time.monotonic()
            self._additions = [addition, *self._additions][:_REMEMBERED]
            threading.Thread(target=self._follow, args=(addition, self._child), daemon=True).start()
        return addition

    def list(self) -> "list[ModelAddition]":
        """The newest first."""
        with self._lock:
            return [self._now(addition) for addition in self._additions]

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def _now(self, addition: ModelAddition) -> ModelAddition:
        if addition.state != "checking":
            return addition
        return addition.model_copy(update={"seconds": time.monotonic() - self._started[addition.id]})

    def _start_child(self, path: Path, name: str) -> Child:
        return start_module(
            "engine.models",
            ["add", str(path), "--name", name, "--workspace", str(self._workspace.root)],
            folder=self._workspace.root,
            log=self._workspace.root / "logs" / "models.log",
            threads=usable_cores(),
            talks_back=True,
        )

    def _follow(self, addition: ModelAddition, child: Child) -> None:
        """In a thread of its own: wait for the child's answer, at most so long."""
        timer = threading.Timer(self._limit_seconds, child.kill)
        timer.start()
        try:
            answer = child.process.stdout.read() if child.process.stdout else b""
        finally:
            timer.cancel()
        exit_code = child.wait()
        seconds = time.monotonic() - self._started[addition.id]
        outcome = _TOO_LONG if seconds >= self._limit_seconds else _read_answer(answer)
        if isinstance(outcome, Failure):
            log.info("%s was not added (exit code %s): %s", addition.path, exit_code, outcome.what_happened)
            discard_upload(self._workspace, Path(addition.path))
        changes: dict[str, object] = (
            {"state": "failed", "failure": outcome}
            if isinstance(outcome, Failure)
            else {"state": "added", "model": outcome}
        )
        ended = addition.model_copy(update={**changes, "seconds": seconds})
        with self._lock:
            self._additions = [ended if one.id == addition.id else one for one in self._additions]


def _existing(path: str) -> Path:
    try:
        found = Path(path.strip()).expanduser()
        exists = found.is_absolute() and found.exists()
    except (OSError, RuntimeError, ValueError):
        exists = False
    if not exists:
        raise EngineFailure(
            "not_found",
            f"There is no folder or file at “{path.strip()}” on this machine.",
            "Nothing was changed.",
            "Give its whole path, which begins with / or ~.",
        )
    return found


def _read_answer(answer: bytes) -> BaseModelInfo | Failure:
    """The last line that the process said: the model, or why it is none."""
    try:
        said = json.loads(answer.splitlines()[-1])
        return Failure(**said["failure"]) if "failure" in said else BaseModelInfo.model_validate(said)
    except (IndexError, ValueError, TypeError, ValidationError):
        return _NOT_ADDED
