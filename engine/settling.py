"""What becomes of a run whose attempt has ended or that waits for one: the next state, and why.

Reads the attempt's last words (`result.json`) and its curve; where there are none, it judges by what is left.
Does not know processes: whether one still lives is the worker's matter.
"""

import time
from itertools import pairwise
from typing import Any

from engine.attempts import Attempt, read_result
from engine.contract.failures import Failure
from engine.contract.records import ACTIVE_STATES, Desired, Run, RunState
from engine.curve import Curve, Curves
from engine.endings import describe_crash, describe_stall
from engine.run_files import Result
from engine.store import Store
from engine.workspace import RunFolder, Workspace

WAITING_STATES: tuple[RunState, ...] = ("queued", "paused", "interrupted")
UNWANTED: tuple[Desired, ...] = ("cancel", "delete")
MAX_ATTEMPTS_WITHOUT_PROGRESS = 3


class Settler:
    """Moves runs that have no process to where they belong."""

    def __init__(self, workspace: Workspace, store: Store, curves: Curves) -> None:
        self._workspace = workspace
        self._store = store
        self._curves = curves

    def settle_waiting(self, run: Run) -> None:
        """Where a run that waits shall go, if not where it is."""
        has_learnt_nothing = not self._workspace.run(run.id).checkpoints.exists()
        if run.desired in UNWANTED or (run.desired == "stop" and has_learnt_nothing):
            changes = {"finished_at": time.time()}
            self._store.change_state(run.id, WAITING_STATES, "cancelled", "cancelled while waiting", changes)
        elif run.desired == "pause":
            self._store.change_state(run.id, ["queued", "interrupted"], "paused", "paused while waiting")
        else:
            self._store.change_state(run.id, ["paused", "interrupted"], "queued", "to go on")

    def settle_ended(self, run: Run, attempt: Attempt | None, *, by_us: bool) -> None:
        """Judge an attempt that has ended; `attempt` is None if an earlier engine started it.

        `by_us` says that the engine itself is leaving: that is not counted against the run.
        """
        folder = self._workspace.run(run.id)
        result = read_result(folder, run.attempt)
        if result is None:
            self._settle_crash(run, folder, attempt, by_us)
        elif result.outcome == "interrupted":
            # One of an earlier engine was told to leave by that engine's end.
            self._interrupt(run, folder, "interrupted", counts=attempt is not None and not by_us)
        elif result.outcome == "paused":
            self._move(run, "paused", "paused", _progress(self._curves.read(folder.journal)))
        else:
            self._finish(run, folder, result)

    def fail(self, run: Run, failure: Failure, changes: dict[str, Any] | None = None) -> None:
        progress = changes or _progress(self._curves.read(self._workspace.run(run.id).journal))
        ended = {"finished_at": time.time(), "failure": failure.model_dump_json()}
        self._move(run, "failed", failure.code, progress | ended)

    def try_again(self, run_id: str) -> None:
        """A failed run goes on from its newest checkpoint, with all its attempts before it."""
        changes = {"failure": None, "finished_at": None, "attempts_without_progress": 0}
        self._store.change_state(run_id, ["failed"], "queued", "tried again", changes)

    def follow_phase(self, run: Run, curve: Curve) -> None:
        """Move the run's state through the phases its trainer has told of, none left out."""
        if curve.attempt != run.attempt or curve.phase is None:
            return
        passed = ACTIVE_STATES[: ACTIVE_STATES.index(curve.phase) + 1]
        for before, after in pairwise(passed):
            self._store.change_state(run.id, [before], after, "told by the trainer", _progress(curve))

    def _finish(self, run: Run, folder: RunFolder, result: Result) -> None:
        curve = self._curves.read(folder.journal)
        changes = {
            "finished_at": time.time(),
            "step": result.steps or curve.step,
            "steps": max(curve.steps, result.steps),
            "failure": result.failure.model_dump_json() if result.failure else None,
            **result.model_dump(include=_KEPT_OF_RESULT),
        }
        if result.outcome == "succeeded":
            self._store.change_state(run.id, ["preparing", "training"], "finishing", "told by the result")
        self._move(run, result.outcome, "told by the result", changes)

    def _settle_crash(self, run: Run, folder: RunFolder, attempt: Attempt | None, by_us: bool) -> None:
        if run.desired in UNWANTED:
            self._move(run, "cancelled", "cancelled", {"finished_at": time.time()})
        elif attempt and attempt.ran_out_of_memory():
            self.fail(run, describe_crash(out_of_memory=True))
        elif attempt and attempt.has_stalled:
            self._interrupt(run, folder, "stalled", counts=True, failure=describe_stall())
        else:
            self._interrupt(run, folder, "its trainer was killed", counts=not by_us)

    def _interrupt(
        self, run: Run, folder: RunFolder, reason: str, *, counts: bool, failure: Failure | None = None
    ) -> None:
        """Aside for now, to go on by itself; failed once too many attempts came no further."""
        curve = self._curves.read(folder.journal)
        progress = self._store.get_progress(run.id)
        without = 0 if curve.step > progress.step else progress.attempts_without + counts
        changes = _progress(curve) | {
            "progress_step": max(curve.step, progress.step),
            "attempts_without_progress": without,
        }
        if without >= MAX_ATTEMPTS_WITHOUT_PROGRESS:
            self.fail(run, failure or describe_crash(out_of_memory=False), changes)
        else:
            self._move(run, "interrupted", reason, changes)

    def _move(self, run: Run, state: RunState, reason: str, changes: dict[str, Any]) -> None:
        self._store.change_state(run.id, ACTIVE_STATES, state, reason, changes)


_KEPT_OF_RESULT = {
    "seconds",
    "peak_memory_bytes",
    "validation_loss_base",
    "validation_loss",
    "best_step",
    "stopped_because",
}


def _progress(curve: Curve) -> dict[str, Any]:
    """`steps` is left alone until the trainer has told it: the estimate's figure stands until then."""
    return {"step": curve.step} | ({"steps": curve.steps} if curve.steps else {})
