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
from engine.models.leftovers import remove_leftovers
from engine.processes import Child, start_module, usable_cores
from engine.workspace import Workspace

log = logging.getLogger(__name__)

LIMIT_SECONDS = 1800.0
_REMEMBERED = 10
_CLEAN_UP_SECONDS = 10.0

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
        self._follower: threading.Thread | None = None

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
            self._follower = threading.Thread(target=self._follow, args=(addition, self._child), daemon=True)
            self._follower.start()
        return addition

    def list(self) -> "list[ModelAddition]":
        """The newest first."""
        with self._lock:
            return [self._now(addition) for addition in self._additions]

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        if self._follower is not None:
            self._follower.join(_CLEAN_UP_SECONDS)

    def _now(self, addition: ModelAddition) -> ModelAddition:
        if addition.state != "checking":
            return addition
        return addition.model_copy(update={"seconds": time.monotonic() - self._started[addition.id]})

    def _start_child(self, path: Path, name: str) -> Child:
        return start_module(
            "engine.models",
            ["add", str(path), f"--name={name}", "--workspace", str(self._workspace.root)],
            folder=self._workspace.root,
            log=self._workspace.root / "logs" / "models.log",
            threads=usable_cores(),
            talks_back=True,
        )

    def _follow(self, addition: ModelAddition, child: Child) -> None:
        """In a thread of its own: however it ends, the addition is decided then."""
        outcome: BaseModelInfo | Failure = _NOT_ADDED
        try:
            outcome = self._wait_for(addition, child)
            if isinstance(outcome, Failure):
                log.info("%s was not added: %s", addition.path, outcome.what_happened)
                self._clean_up(Path(addition.path))
        except Exception:
            log.exception("the check of %s was given up", addition.path)
            child.kill()
        finally:
            self._decide(addition, outcome)

    def _wait_for(self, addition: ModelAddition, child: Child) -> BaseModelInfo | Failure:
        """The child's answer; it has at most so long."""
        timer = threading.Timer(self._limit_seconds, child.kill)
        timer.start()
        try:
            answer = child.process.stdout.read() if child.process.stdout else b""
        finally:
            timer.cancel()
        child.wait()
        outcome = _read_answer(answer)
        is_late = time.monotonic() - self._started[addition.id] >= self._limit_seconds
        return _TOO_LONG if outcome is _NOT_ADDED and is_late else outcome

    def _clean_up(self, path: Path) -> None:
        """What a child that was killed had no time to remove."""
        try:
            path = path.resolve()
            remove_leftovers(path)
            discard_upload(self._workspace, path)
        except Exception:
            log.exception("not all of %s could be removed", path)

    def _decide(self, addition: ModelAddition, outcome: BaseModelInfo | Failure) -> None:
        changes: dict[str, object] = (
            {"state": "failed", "failure": outcome}
            if isinstance(outcome, Failure)
            else {"state": "added", "model": outcome}
        )
        with self._lock:
            ended = self._now(addition).model_copy(update=changes)
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
