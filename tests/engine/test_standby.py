"""The trainer kept ready: a run gets it at once and learns the same, and it is never in anyone's way."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from engine import standby
from engine.contract.records import Example
from engine.processes import Child, is_locked, kill_module, take_lock
from engine.standby import TRAINER, Standby
from engine.trainer import READY
from engine.workspace import Workspace

OrderRun = Callable[..., Any]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")


@pytest.fixture
def kept(workspace: Workspace) -> Iterator[Standby]:
    kept = Standby(workspace, quiet_seconds=0.0)
    yield kept
    kept.close()


def wait_until(happens: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def ready(workspace: Workspace) -> Iterator[Standby]:
    """With a trainer that has loaded everything."""
    ready = Standby(workspace, quiet_seconds=0.0)
    ready.tick(idle=True)
    wait_until(lambda: workspace.trainer_log.read_text("utf-8").endswith(f"{READY}\n"))
    yield ready
    ready.close()


def set_to_work(kept: Standby, run: Any) -> Child:
    lock = take_lock(run.folder.lock)
    assert lock is not None
    return kept.train(run.folder, lock)


def finish(child: Child, run: Any) -> Any:
    assert child.wait(60) == 0, run.folder.log.read_text("utf-8")
    return run.result()


# --- what a run gets ------------------------------------------------------------------------------------


def test_a_run_gets_the_trainer_that_stood_ready_and_learns_what_it_would_have_learnt_otherwise(
    kept: Standby, ready: Standby, workspace: Workspace, order_run: OrderRun
) -> None:
    at_once, later = order_run("lora"), order_run("lora")
    finish(set_to_work(kept, at_once), at_once)

    waiting = ready._child
    assert waiting is not None
    said = workspace.trainer_log.read_bytes()
    ordered_at = time.monotonic()
    assert set_to_work(ready, later) is waiting
    assert is_locked(later.folder.lock)
    wait_until(lambda: later.folder.journal.exists())
    assert psutil.Process(waiting.pid).cwd() == str(later.folder.root)
    result = finish(waiting, later)
    assert not is_locked(later.folder.lock)

    assert later.artefact_digest() == at_once.artefact_digest()
    assert result.exact_resume
    # Neither the time it waited nor what it loaded before.
    assert result.seconds <= time.monotonic() - ordered_at
    # All that it says is said in the run's own log.
    assert later.folder.log.read_bytes()
    assert workspace.trainer_log.read_bytes() == said


def test_a_trainer_that_is_still_loading_is_taken_too_and_hears_every_word(
    kept: Standby, order_run: OrderRun
) -> None:
    kept.tick(idle=True)
    waiting = kept._child
    run = order_run("last-layers", epochs=100)
    child = set_to_work(kept, run)
    assert child is waiting
    assert child.send("pause")
    assert finish(child, run).outcome == "paused"
    assert READY not in run.folder.log.read_text("utf-8")


def test_what_the_environment_says_by_now_reaches_the_trainer(
    kept: Standby, order_run: OrderRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.tick(idle=True)
    stale = kept._child
    assert stale is not None
    monkeypatch.setenv("VOICEWRIGHT_FAULT", "model_load:1:exc")
    run = order_run("last-layers")
    child = set_to_work(kept, run)
    assert child is not stale
    assert stale.poll() == -signal.SIGKILL
    assert finish(child, run).failure.code == "unexpected"


def test_nobody_notices_that_the_one_kept_ready_has_died(kept: Standby, order_run: OrderRun) -> None:
    kept.tick(idle=True)
    dead = kept._child
    assert dead is not None
    dead.process.kill()
    dead.process.wait()
    run = order_run("last-layers")
    child = set_to_work(kept, run)
    assert child is not dead
    assert finish(child, run).outcome == "succeeded"


# --- whose way it must not be in ------------------------------------------------------------------------


def test_there_is_never_more_than_one_and_none_beside_other_work(kept: Standby, order_run: OrderRun) -> None:
    kept.tick(idle=False)
    assert kept._child is None
    kept.tick(idle=True)
    first = kept._child
    assert first is not None
    kept.tick(idle=True)
    kept.tick(idle=False)
    assert kept._child is first
    run = order_run("last-layers", epochs=100)
    child = set_to_work(kept, run)
    kept.tick(idle=False)
    assert kept._child is None
    child.kill()
    child.wait()


def test_it_is_made_ready_only_after_a_while_of_quiet(workspace: Workspace) -> None:
    patient = Standby(workspace, quiet_seconds=0.3)
    patient.tick(idle=True)
    time.sleep(0.2)
    patient.tick(idle=False)
    time.sleep(0.2)
    patient.tick(idle=True)
    assert patient._child is None
    time.sleep(0.2)
    patient.tick(idle=True)
    assert patient._child is not None
    patient.close()


def test_its_memory_is_given_back_when_memory_is_scarce(
    kept: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "available_memory", lambda: standby.PLENTY_BYTES - 1)
    kept.tick(idle=True)
    assert kept._child is None
    monkeypatch.setattr(standby, "available_memory", lambda: standby.PLENTY_BYTES)
    kept.tick(idle=True)
    child = kept._child
    assert child is not None
    monkeypatch.setattr(standby, "available_memory", lambda: standby.SCARCE_BYTES - 1)
    kept.tick(idle=True)
    assert kept._child is None
    assert child.poll() == -signal.SIGKILL


def test_one_that_cannot_stay_alive_is_not_started_again_and_again(
    kept: Standby, order_run: OrderRun
) -> None:
    kept.tick(idle=True)
    assert kept._child is not None
    kept._child.kill()
    kept._child.wait()
    kept.tick(idle=True)
    kept.tick(idle=True)
    assert kept._child is None
    child = set_to_work(kept, order_run("last-layers"))
    child.kill()
    child.wait()
    kept.tick(idle=True)
    assert kept._child is not None


# --- when the engine is gone ----------------------------------------------------------------------------


def test_it_leaves_with_its_engine_however_that_ends(live_engine: Any) -> None:
    waiting = live_engine.wait_for_standby()
    live_engine.kill()
    waiting.wait(timeout=20)

    live_engine.start()
    waiting = live_engine.wait_for_standby()
    assert live_engine.stop() == 0
    assert not waiting.is_running()


def test_one_that_hangs_with_a_runs_lock_on_its_way_to_it_is_found_and_ended(
    kept: Standby, workspace: Workspace, order_run: OrderRun
) -> None:
    kept.tick(idle=True)
    hanging = kept._child
    assert hanging is not None
    hanging.process.send_signal(signal.SIGSTOP)
    run = order_run("last-layers")
    assert set_to_work(kept, run) is hanging
    hanging.close_input()
    assert is_locked(run.folder.lock)
    assert kill_module(TRAINER, str(workspace.root))
    assert hanging.wait() == -signal.SIGKILL
    assert not is_locked(run.folder.lock)


def test_a_run_takes_it_and_another_is_made_ready_once_that_has_ended(
    live_engine: Any, examples: list[Example]
) -> None:
    first = live_engine.wait_for_standby()
    run_id = live_engine.new_run(live_engine.new_dataset(examples), epochs=100)
    wait_until(lambda: live_engine.trainers(run_id) == [first])
    live_engine.wait(run_id, lambda run: run["state"] == "training" and run["step"] >= 3)
    assert live_engine.standbys() == []
    live_engine.want(run_id, "stop")
    assert live_engine.wait_for(run_id, "succeeded", "failed")["state"] == "succeeded"

    wait_until(lambda: len(live_engine.standbys()) == 1)
    assert live_engine.standbys() != [first]
