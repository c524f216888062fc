"""The worker with real trainers: whatever is wanted, whenever it is said, and whatever dies, each run ends
well.
"""

import signal
from typing import Any

import psutil
import pytest

from engine.contract.records import Example

LONG = 30


@pytest.fixture
def dataset(live_engine: Any, examples: list[Example]) -> str:
    identifier: str = live_engine.new_dataset(examples)
    return identifier


def is_under_way(run: dict[str, Any]) -> bool:
    return run["state"] == "training" and run["step"] >= 3


def test_a_trainer_killed_in_the_middle_goes_on_by_itself_and_one_key_is_one_run(
    live_engine: Any, dataset: str
) -> None:
    key = "ab" * 16
    run_id = live_engine.new_run(dataset, key=key, epochs=LONG)
    assert live_engine.new_run(dataset, key=key, epochs=3) == run_id
    under_way = live_engine.wait(run_id, is_under_way)
    assert under_way["seconds_left"] is not None
    (trainer,) = live_engine.trainers(run_id)
    trainer.send_signal(signal.SIGKILL)

    run = live_engine.wait_for(run_id, "succeeded", "failed")
    assert (run["state"], run["attempt"], run["failure"]) == ("succeeded", 2, None)
    assert run["validation_loss"] < run["validation_loss_base"]
    assert live_engine.events(run_id) == [
        (None, "queued"),
        ("queued", "preparing"),
        ("preparing", "training"),
        ("training", "interrupted"),
        ("interrupted", "queued"),
        ("queued", "preparing"),
        ("preparing", "training"),
        ("training", "finishing"),
        ("finishing", "succeeded"),
    ]
    points = live_engine.ask("GET", f"/runs/{run_id}/metrics")["points"]
    steps = [point["step"] for point in points]
    assert steps == sorted(set(steps))
    assert set(range(1, run["steps"] + 1)) <= set(steps)
    assert {point["attempt"] for point in points} == {1, 2}


def test_pause_then_go_on_then_stop_keeps_the_best(live_engine: Any, dataset: str) -> None:
    run_id = live_engine.new_run(dataset, epochs=100)
    live_engine.wait(run_id, is_under_way)
    live_engine.want(run_id, "pause")
    paused = live_engine.wait_for(run_id, "paused")
    assert paused["step"] >= 3
    assert live_engine.trainers(run_id) == []

    live_engine.want(run_id, "run")
    live_engine.wait(run_id, lambda run: run["state"] == "training" and run["step"] > paused["step"] + 2)
    live_engine.want(run_id, "stop")
    live_engine.want(run_id, "stop")
    run = live_engine.wait_for(run_id, "succeeded", "failed")
    assert (run["state"], run["stopped_because"], run["attempt"]) == ("succeeded", "stopped", 2)
    assert run["step"] < run["steps"]
    assert live_engine.want(run_id, "cancel")["state"] == "succeeded"


def test_one_trains_at_a_time_and_cancel_works_in_the_queue_and_in_the_middle(
    live_engine: Any, dataset: str
) -> None:
    first = live_engine.new_run(dataset, epochs=100)
    waiting = live_engine.new_run(dataset, epochs=3)
    hopeless = live_engine.new_run(dataset, epochs=3)
    live_engine.wait(first, is_under_way)
    assert live_engine.run(waiting)["state"] == "queued"

    live_engine.want(hopeless, "stop")
    live_engine.want(waiting, "cancel")
    for run_id in (waiting, hopeless):
        live_engine.wait_for(run_id, "cancelled")
        assert live_engine.events(run_id) == [(None, "queued"), ("queued", "cancelled")]

    live_engine.want(first, "cancel")
    run = live_engine.wait_for(first, "cancelled")
    assert run["finished_at"] is not None
    assert live_engine.trainers(first) == []
    assert live_engine.want(first, "cancel")["state"] == "cancelled"
    live_engine.ask("PUT", f"/runs/{first}/desired", {"desired": "run"}, status=409)


def test_a_deleted_project_takes_its_trainer_and_all_files_along(live_engine: Any, dataset: str) -> None:
    run_id = live_engine.new_run(dataset, epochs=100)
    live_engine.wait(run_id, lambda run: run["state"] == "preparing")
    (trainer,) = live_engine.trainers(run_id)
    project_id = live_engine.run(run_id)["project_id"]
    live_engine.ask("DELETE", f"/projects/{project_id}", status=204)
    assert live_engine.ask("GET", "/projects") == []

    psutil.wait_procs([trainer], timeout=35)
    folder, file = live_engine.workspace.run(run_id).root, live_engine.workspace.dataset(dataset)
    live_engine.wait_gone(folder, file)
    assert live_engine.trainers(run_id) == []
    live_engine.ask("GET", f"/runs/{run_id}", status=404)


@pytest.mark.slow
def test_a_run_that_always_dies_is_given_up_after_three_attempts(
    sleeping_engine: Any, examples: list[Example]
) -> None:
    sleeping_engine.environment["VOICEWRIGHT_FAULT"] = "model_load:1:kill9"
    sleeping_engine.start()
    run_id = sleeping_engine.new_run(sleeping_engine.new_dataset(examples), epochs=3)
    run = sleeping_engine.wait_for(run_id, "failed")
    assert (run["attempt"], run["failure"]["code"]) == (3, "trainer_crashed")
    assert "/" not in run["failure"]["what_happened"]


def test_a_full_disk_fails_the_run_in_plain_words_and_it_can_be_tried_again(
    sleeping_engine: Any, examples: list[Example]
) -> None:
    sleeping_engine.environment["VOICEWRIGHT_FAULT"] = "ckpt_file:1:enospc"
    sleeping_engine.start()
    run_id = sleeping_engine.new_run(sleeping_engine.new_dataset(examples), epochs=3)
    assert sleeping_engine.wait_for(run_id, "failed")["failure"]["code"] == "disk_full"

    sleeping_engine.stop()
    sleeping_engine.environment.clear()
    sleeping_engine.start()
    sleeping_engine.want(run_id, "run")
    run = sleeping_engine.wait_for(run_id, "succeeded", "failed")
    assert (run["state"], run["failure"], run["attempt"]) == ("succeeded", None, 2)
