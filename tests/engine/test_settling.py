"""What becomes of a run whose trainer is gone, judged from a real database and the files it left."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engine.contract.failures import Failure
from engine.contract.records import (
    Columns,
    Dataset,
    Desired,
    Metric,
    NewProject,
    NewRun,
    Recipe,
    Run,
    RunState,
)
from engine.curve import Curves
from engine.run_files import JournalLine, Result
from engine.settling import WAITING_STATES, Settler
from engine.store import Store
from engine.workspace import RunFolder, Workspace


class Scene:
    """One run, and a pen to write what its trainer would have left."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.store = Store(workspace.database)
        self.settler = Settler(workspace, self.store, Curves())
        project = self.store.add_project(NewProject(name="Ahoy"))
        dataset = Dataset(
            id=uuid4().hex,
            project_id=project.id,
            version=1,
            created_at=0.0,
            source_name="voice.csv",
            columns=Columns(prompt=None, completion="Text"),
            examples_train=9,
            examples_validation=1,
            fingerprint="f" * 64,
        )
        self.store.add_dataset(dataset)
        new = NewRun(key=uuid4().hex, dataset_id=dataset.id, recipe=Recipe(method="lora"))
        self.id = self.store.add_run(new, None).id
        self.folder.root.mkdir()

    @property
    def folder(self) -> RunFolder:
        return self.workspace.run(self.id)

    @property
    def run(self) -> Run:
        return self.store.get_run(self.id)

    def begin_attempt(self) -> int:
        self.settler.settle_waiting(self.run)
        claimed = self.store.claim(self.id)
        assert claimed is not None
        return claimed.attempt

    def tell(self, **fields: Any) -> None:
        line = JournalLine(attempt=self.run.attempt, at=0.0, **fields)
        with self.folder.journal.open("a", encoding="utf-8") as journal:
            journal.write(line.model_dump_json() + "\n")

    def tell_step(self, step: int) -> None:
        self.tell(metric=Metric(attempt=self.run.attempt, step=step, epoch=0.0, train_loss=1.0, seconds=1.0))

    def leave_result(self, **fields: Any) -> None:
        self.folder.result.write_text(Result(**{"attempt": self.run.attempt, **fields}).model_dump_json())

    def end(self, *, by_us: bool = False) -> Run:
        self.settler.settle_ended(self.run, None, by_us=by_us)
        return self.run


@pytest.fixture
def scene(workspace: Workspace) -> Scene:
    return Scene(workspace)


def test_three_attempts_that_come_no_further_are_enough(scene: Scene) -> None:
    states = []
    for _ in range(3):
        scene.begin_attempt()
        states.append(scene.end().state)
    assert states == ["interrupted", "interrupted", "failed"]
    assert scene.run.failure is not None
    assert scene.run.failure.code == "trainer_crashed"


def test_a_run_that_comes_further_each_time_is_never_given_up(scene: Scene) -> None:
    for step in range(1, 8):
        scene.begin_attempt()
        scene.tell_step(step)
        assert scene.end().state == "interrupted"
    assert scene.run.step == 7


def test_a_run_that_always_dies_at_the_same_step_is_given_up(scene: Scene) -> None:
    for _ in range(4):
        scene.begin_attempt()
        scene.tell_step(5)
        scene.end()
    assert (scene.run.state, scene.run.attempt) == ("failed", 4)


def test_an_engine_that_is_closed_often_does_not_count_against_a_run(scene: Scene) -> None:
    for _ in range(5):
        scene.begin_attempt()
        scene.leave_result(outcome="interrupted")
        assert scene.end(by_us=True).state == "interrupted"


def test_the_word_of_an_earlier_attempt_is_not_taken_for_the_last(scene: Scene) -> None:
    scene.begin_attempt()
    scene.leave_result(outcome="interrupted")
    scene.end()
    scene.begin_attempt()
    scene.leave_result(attempt=1, outcome="succeeded")
    assert scene.end().state == "interrupted"


def test_a_torn_result_counts_as_none(scene: Scene) -> None:
    scene.begin_attempt()
    scene.folder.result.write_text('{"attempt": 1, "outcome": "succ')
    assert scene.end().state == "interrupted"


def test_a_success_passes_through_every_phase_however_late_it_is_seen(scene: Scene) -> None:
    scene.begin_attempt()
    scene.leave_result(
        outcome="succeeded", steps=9, best_step=7, validation_loss=1.5, stopped_because="finished"
    )
    run = scene.end()
    assert (run.state, run.step, run.best_step, run.validation_loss) == ("succeeded", 9, 7, 1.5)
    assert [event.to_state for event in scene.store.list_events(scene.id)][-2:] == ["finishing", "succeeded"]


def test_a_failure_in_the_trainers_words_is_kept(scene: Scene) -> None:
    scene.begin_attempt()
    told = Failure(code="diverged", what_happened="The loss was no longer a number.")
    scene.leave_result(outcome="failed", failure=told)
    run = scene.end()
    assert (run.state, run.failure) == ("failed", told)


def test_a_run_that_finished_before_the_cancel_was_heard_has_succeeded(scene: Scene) -> None:
    scene.begin_attempt()
    scene.store.set_desired(scene.id, "cancel")
    scene.leave_result(outcome="succeeded")
    assert scene.end().state == "succeeded"


@pytest.mark.parametrize("outcome", [None, "interrupted", "cancelled"])
def test_a_cancelled_run_ends_cancelled_however_its_trainer_left(scene: Scene, outcome: str | None) -> None:
    scene.begin_attempt()
    scene.store.set_desired(scene.id, "cancel")
    if outcome:
        scene.leave_result(outcome=outcome)
    scene.end()
    scene.settler.settle_waiting(scene.run)
    assert scene.run.state == "cancelled"


@pytest.mark.parametrize("before", WAITING_STATES)
@pytest.mark.parametrize(
    ("desired", "has_learnt", "after"),
    [
        ("run", True, "queued"),
        ("pause", True, "paused"),
        ("stop", True, "queued"),
        ("stop", False, "cancelled"),
        ("cancel", True, "cancelled"),
        ("delete", True, "cancelled"),
    ],
)
def test_a_run_that_waits_goes_where_it_is_wanted(
    scene: Scene, before: RunState, desired: Desired, has_learnt: bool, after: RunState
) -> None:
    scene.store.change_state(scene.id, ["queued"], before, "for this test")
    if has_learnt:
        scene.folder.checkpoints.mkdir()
    scene.store.set_desired(scene.id, desired)
    scene.settler.settle_waiting(scene.run)
    events = len(scene.store.list_events(scene.id))
    assert scene.run.state == after
    scene.settler.settle_waiting(scene.run)
    assert len(scene.store.list_events(scene.id)) == events


def test_a_curve_drops_torn_lines_and_what_a_later_attempt_took_again(tmp_path: Path, scene: Scene) -> None:
    scene.begin_attempt()
    scene.tell(phase="training")
    scene.tell(steps=9)
    for step in range(1, 6):
        scene.tell_step(step)
    whole = scene.folder.journal.read_bytes()
    scene.end()
    scene.begin_attempt()
    scene.tell(resumed_from_step=3)
    scene.tell_step(4)
    curve = Curves().read(scene.folder.journal)
    assert [(point.step, point.attempt) for point in curve.points] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert (curve.step, curve.steps, curve.attempt) == (4, 9, 2)

    torn = tmp_path / "torn.jsonl"
    for cut in range(0, len(whole), 7):
        torn.write_bytes(whole[:cut])
        curves = Curves()
        before = curves.read(torn).points
        torn.write_bytes(whole)
        assert [point.step for point in curves.read(torn).points] == [1, 2, 3, 4, 5]
        assert [point.step for point in before] == list(range(1, len(before) + 1))
