"""Where a project stands, what comes next, and what a closed step still needs."""

import uuid

import pytest

from engine.contract.records import Columns, Dataset, Export, Recipe, Run, RunState
from studio.journey import STEPS, decide_next, stand

DATASET = Dataset(
    id=uuid.uuid4().hex,
    project_id=uuid.uuid4().hex,
    version=1,
    created_at=0.0,
    source_name="voice.csv",
    columns=Columns(prompt="Prompt", completion="Text"),
    examples_train=1_100,
    examples_validation=104,
    fingerprint="f" * 64,
)


def make_run(state: RunState, number: int = 1, export: Export | None = None) -> Run:
    empty = dict.fromkeys(
        (
            *("estimate", "started_at", "finished_at", "seconds_left", "seconds", "peak_memory_bytes"),
            *("validation_loss_base", "validation_loss", "best_step", "stopped_because", "failure"),
        )
    )
    return Run.model_validate(
        {
            **empty,
            "id": uuid.uuid4().hex,
            "number": number,
            "project_id": DATASET.project_id,
            "dataset_id": DATASET.id,
            "recipe": Recipe(method="lora"),
            "state": state,
            "desired": "run",
            "attempt": 1,
            "created_at": float(number),
            "step": 0,
            "steps": 10,
            "export": export or Export(),
        }
    )


def test_a_new_voice_can_enter_only_its_examples_and_each_closed_step_says_why():
    standing = stand([], [])
    assert [step for step in STEPS if standing[step].is_open] == ["examples"]
    assert all(standing[step].missing.startswith("Opens when") for step in STEPS[1:])
    assert {standing[step].mend_at for step in STEPS[1:]} == {"examples"}


def test_examples_open_the_method_and_a_run_opens_the_tuning():
    assert [step for step, item in stand([DATASET], []).items() if item.is_open] == ["examples", "method"]
    assert [step for step, item in stand([DATASET], [make_run("training")]).items() if item.is_open] == [
        "examples",
        "method",
        "tuning",
    ]


def test_a_finished_run_opens_everything_and_a_checked_download_ends_the_journey():
    standing = stand([DATASET], [make_run("succeeded", export=Export(state="ready"))])
    assert all(item.is_open and item.is_done for item in standing.values())


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("queued", "tuning"),
        ("preparing", "tuning"),
        ("training", "tuning"),
        ("finishing", "tuning"),
        ("interrupted", "tuning"),
        ("paused", "tuning"),
        ("failed", "tuning"),
        ("cancelled", "method"),
        ("succeeded", "compare"),
    ],
)
def test_each_state_of_the_newest_run_has_one_next_step(state, step):
    assert decide_next([DATASET], [make_run(state)]).step == step


def test_a_failed_run_does_not_hide_an_earlier_success():
    coming = decide_next([DATASET], [make_run("failed", 2), make_run("succeeded", 1)])
    assert (coming.step, coming.run_id) == ("compare", None)


def test_a_voice_without_runs_says_how_many_examples_it_has():
    assert decide_next([DATASET], []).sentence.startswith("1,204 examples are ready")
    assert decide_next([], []).step == "examples"
