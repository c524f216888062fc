"""One loop that makes what is fit what is wanted: it alone starts and ends trainers.

Wanted is the column `desired`; what is, is a process that holds the run's lock. Anything may have happened
between two looks, even the death of an engine, so nothing here relies on having seen it. Knows states and
patience. Does not know what a trainer computes, nor HTTP.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.attempts import Attempt, start_attempt
from engine.calibrating import Calibrator
from engine.contract.failures import EngineFailure
from engine.contract.records import ACTIVE_STATES, FINAL_STATES, Desired, Run
from engine.curve import Curve, Curves
from engine.endings import describe_crash, describe_start_failure
from engine.exporting import Exporter
from engine.processes import cap_log, is_locked, kill_module
from engine.recovery import Copies
from engine.removal import Remover
from engine.settling import WAITING_STATES, Settler
from engine.standby import TRAINER, Standby
from engine.store import Store
from engine.unpacker import Unpacker
from engine.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long the loop waits for what, in seconds."""

    tick: float = 0.2
    idle_tick: float = 2.0
    cancel: float = 30.0
    shutdown: float = 30.0
    orphan: float = 60.0
    stall: float = 600.0
    stall_steps: float = 20.0
    """A trainer that is silent for so many of its own steps is stalled, if that is longer than `stall`."""


class Worker:
    """The reconcile loop of one workspace, in one thread."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        curves: Curves,
        exporter: Exporter,
        calibrator: Calibrator,
        unpacker: Unpacker,
        patience: Patience = Patience(),
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._curves = curves
        self._exporter = exporter
        self._calibrator = calibrator
        self._unpacker = unpacker
        self._patience = patience
        self._settler = Settler(workspace, store, curves)
        self._remover = Remover(workspace, store, exporter)
        self._copies = Copies(workspace, store)
        self._standby = Standby(workspace)
        self._attempt: Attempt | None = None
        self._orphans: dict[str, float] = {}
        """Active runs whose trainer is not ours, with the time since when we wait for it to leave."""
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="worker", daemon=True)
        self.is_in_use: Callable[[str], bool] = lambda run_id: False
        """Whether something still reads a run's artefact; a removal waits for it."""
        self.is_answering: Callable[[], bool] = lambda: False
        """Whether answers are being written, which need the processor as much as a trainer does."""

    # --- what others may do -----------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """End everything: the trainer certifies a checkpoint, and its run goes on at the next start."""
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._end_attempt()
        self._standby.close()
        self._exporter.close()
        self._calibrator.close()
        self._unpacker.close()

    def want(self, run_id: str, desired: Desired) -> Run:
        """Note what the person wants of a run; saying it twice, or too late, changes nothing."""
        run = self._store.get_run(run_id)
        if run.state == "cancelled" and desired == "run":
            raise EngineFailure(
                "conflict", "This run was cancelled.", "Your examples are safe.", "Start a new run instead."
            )
        if run.state == "failed" and desired == "run":
            self._store.set_desired(run_id, "run")
            self._settler.try_again(run_id)
        elif run.state not in FINAL_STATES or desired == "delete":
            run = self._store.set_desired(run_id, desired)
        self.wake()
        # Not read again after a delete: the row may be gone by now.
        return run if desired == "delete" else self._store.get_run(run_id)

    # --- the loop ---------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._closing.is_set():
            self._woken.clear()
            try:
                self._tick()
            except Exception:
                # Whatever it was (a full disk, a locked file) may pass; the loop must not.
                log.exception("a look at the runs failed")
                time.sleep(1.0)
            self._woken.wait(self._patience.tick if self._is_busy() else self._patience.idle_tick)

    def _is_busy(self) -> bool:
        children = (self._exporter, self._calibrator, self._unpacker)
        return bool(self._attempt or self._orphans or any(child.is_busy for child in children))

    def _tick(self) -> None:
        self._look_after_attempt()
        self._look_after_orphans()
        self._unpacker.tick()
        for run in self._store.runs_in(WAITING_STATES):
            self._settler.settle_waiting(run)
        self._start_next()
        for run in self._store.runs_to_delete():
            if not self.is_in_use(run.id):
                self._remover.remove_run(run)
        self._remover.remove_projects()
        if not self._unpacker.is_busy:
            self._exporter.tick()
        busy = self._attempt or self._orphans or self._exporter.is_busy or self._unpacker.is_busy
        self._calibrator.tick(idle=not busy)
        self._standby.tick(idle=not (self._is_busy() or self.is_answering()))
        self._copies.tick()

    # --- the attempt that runs --------------------------------------------------------------------

    def _start_next(self) -> None:
        """The oldest run in the queue if nothing trains; claimed for good before the process exists.

        A run whose model is still to be unpacked keeps its place and lets others go first.
        """
        # Any run may want the model that is being unpacked, which takes some seconds.
        if self._attempt or self._orphans or self._unpacker.is_busy or self._closing.is_set():
            return
        queued = (run for run in self._store.runs_in(["queued"]) if run.desired in ("run", "stop"))
        first = next((run for run in queued if not self._unpacker.is_coming(run.recipe.base_model)), None)
        claimed = self._store.claim(first.id) if first else None
        if claimed is None:
            return
        try:
            dataset = self._store.get_dataset(claimed.dataset_id)
            rules = self._store.get_brand(claimed.project_id).rules
            self._attempt = start_attempt(self._workspace, self._standby, claimed, dataset, rules)
        except (EngineFailure, OSError) as error:
            log.warning("run %s could not be started: %s", claimed.id, error)
            self._settler.fail(claimed, describe_start_failure(error))

    def _look_after_attempt(self) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        run = self._store.get_run(attempt.run_id)
        has_ended = attempt.child.poll() is not None
        curve = self._curves.read(attempt.folder.journal)
        self._settler.follow_phase(run, curve)
        if has_ended:
            self._attempt = None
            self._settle(run, attempt)
        else:
            cap_log(attempt.folder.log)
            self._tell_wish(attempt, run.desired)
            self._watch_silence(attempt, curve)

    def _tell_wish(self, attempt: Attempt, desired: Desired) -> None:
        if desired == "run":
            return
        if desired not in ("cancel", "delete"):
            attempt.tell(desired)
            return
        attempt.tell("cancel")
        attempt.cancelled_at = attempt.cancelled_at or time.monotonic()
        if time.monotonic() - attempt.cancelled_at > self._patience.cancel:
            attempt.child.kill()

    def _watch_silence(self, attempt: Attempt, curve: Curve) -> None:
        limit = max(self._patience.stall, self._patience.stall_steps * curve.median_step_seconds)
        if attempt.seconds_silent(curve) > limit:
            log.warning("run %s has been silent for %.0f s: its attempt is ended", attempt.run_id, limit)
            attempt.has_stalled = True
            attempt.child.kill()

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        attempt.child.close_input()
        if attempt.child.wait(self._patience.shutdown) is None:
            attempt.child.kill()
            attempt.child.wait()
        self._settle(self._store.get_run(attempt.run_id), attempt)

    def _settle(self, run: Run, attempt: Attempt | None) -> None:
        self._settler.follow_phase(run, self._curves.read(self._workspace.run(run.id).journal))
        self._settler.settle_ended(run, attempt, by_us=self._closing.is_set())
        self.wake()

    # --- attempts of an earlier engine ------------------------------------------------------------

    def _look_after_orphans(self) -> None:
        """Active runs without a trainer of ours: an engine died, or was killed between two steps."""
        current = self._attempt.run_id if self._attempt else None
        for run in self._store.runs_in(ACTIVE_STATES):
            if run.id != current:
                self._look_after_orphan(run)

    def _look_after_orphan(self, run: Run) -> None:
        """Its trainer has read the end of its stdin and is leaving, unless it hangs.

        No other trainer works in this workspace meanwhile.
        """
        since = self._orphans.setdefault(run.id, time.monotonic())
        if not is_locked(self._workspace.run(run.id).lock):
            del self._orphans[run.id]
            self._settle(run, None)
        elif time.monotonic() - since > self._patience.orphan:
            self._end_orphan(run)

    def _end_orphan(self, run: Run) -> None:
        if kill_module(TRAINER, str(self._workspace.root)):
            log.warning("a trainer of an earlier engine did not leave and was ended")
            return
        log.error("something unknown holds the lock of run %s", run.id)
        del self._orphans[run.id]
        self._settler.fail(run, describe_crash(out_of_memory=False))
