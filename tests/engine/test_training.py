"""A run learns, says so, survives being killed, and leaves exactly what it would have left without."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import device, faults, training
from engine.contract.records import Example, MethodName
from engine.journal import Commands, Journal
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.run_files import Result
from engine.schedule import PATIENCE, choose_validation_rows, evaluation_steps, learning_rate_at
from engine.training import Attempt

OrderRun = Callable[..., Any]
SUFFICIENT: dict[MethodName, float] = {"last-layers": 0.1, "all-layers": 0.1, "p-tuning": 0.6, "lora": 0.1}
"""Of the loss at the first step, what must be left after overfitting. Virtual tokens cannot do much to a
model whose weights are random."""


class Interrupting(Journal):
    """Says `word` through the pipe (or closes it) as soon as a line about `step` was written."""

    def __init__(self, file: Path, attempt: int, pipe: int, step: int, word: bytes | None) -> None:
        super().__init__(file, attempt)
        self.pipe, self.step, self.word = pipe, step, word
        self.commands: Commands

    def write(self, **fields: Any) -> None:
        super().write(**fields)
        metric = fields.get("metric")
        if self.pipe >= 0 and metric is not None and metric.step == self.step:
            os.write(self.pipe, self.word or b"")
            if self.word is None:
                os.close(self.pipe)
                self.pipe = -1
            while self.commands.latest is None:
                time.sleep(0.001)


def train_here(run: Any, at_step: int = -1, say: bytes | None = b"") -> Result:
    """An attempt in this very process; at `at_step`, `say` is said to it (None: the supervisor vanishes)."""
    reading, writing = os.pipe()
    journal = Interrupting(run.folder.journal, run.order.attempt, writing, at_step, say)
    journal.commands = Commands(reading)
    attempt = Attempt(run.folder, run.order, journal.commands, journal)
    try:
        return attempt.run()
    except Exception as error:
        return attempt.failed(error)
    finally:
        if journal.pipe >= 0:
            os.close(writing)


def metrics(run: Any) -> list[Any]:
    return [line.metric for line in run.journal() if line.metric]


def train_losses(run: Any) -> list[float]:
    return [metric.train_loss for metric in metrics(run) if metric.train_loss is not None]


def train_loss_by_step(run: Any) -> dict[int, float]:
    """As a reader sees them: of two attempts at a step, the later one."""
    return {metric.step: metric.train_loss for metric in metrics(run) if metric.train_loss is not None}


def validation_losses(run: Any) -> dict[int, float]:
    return {m.step: m.validation_loss for m in metrics(run) if m.validation_loss is not None}


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")
    monkeypatch.setattr(faults, "_reached", {})


def test_every_method_overfits_eight_examples(method_name: MethodName, order_run: OrderRun) -> None:
    run = order_run(method_name, epochs=40, batch_size=8, early_stopping=False)
    result = train_here(run)
    losses = train_losses(run)

    assert result.outcome == "succeeded"
    assert losses[-1] < SUFFICIENT[method_name] * losses[0]


def test_the_first_point_is_the_untouched_base(method_name: MethodName, order_run: OrderRun) -> None:
    from engine.batches import make_batch, plan_evaluation, read_examples, tokenize
    from engine.device import detect_device
    from engine.evaluation import CompletionLoss, validation_loss
    from engine.models.load import load_base, load_tokenizer

    run = order_run(method_name, epochs=1)
    result = train_here(run)
    base_folder = run.order.base_model_folder
    window = 256 - (run.order.recipe.virtual_tokens or 0)
    rows = read_examples(run.order.dataset_file)
    held_out = tokenize(load_tokenizer(base_folder), rows, "validation", window)
    loss = CompletionLoss(load_base(base_folder), detect_device(), "fp32")
    untouched = validation_loss(
        loss, [make_batch(held_out, rows, 1) for rows in plan_evaluation(held_out, [0, 1])]
    )
    assert validation_losses(run)[0] == result.validation_loss_base
    # What the frozen layers make of a text is kept in bf16.
    rounding = 1e-3 if method_name == "last-layers" else 0
    assert result.validation_loss_base == pytest.approx(untouched, rel=rounding, abs=0)


def test_the_artefact_is_the_best_version_and_stock_libraries_find_its_loss(order_run: OrderRun) -> None:
    from peft import PeftModel

    from engine.batches import make_batch, plan_evaluation, read_examples, tokenize
    from engine.device import detect_device
    from engine.evaluation import CompletionLoss, validation_loss
    from engine.models.load import load_base, load_tokenizer

    run = order_run("lora", epochs=30, batch_size=8, early_stopping=False)
    result = train_here(run)
    base_folder = run.order.base_model_folder
    assert result.best_step is not None and result.best_step < result.steps
    assert result.validation_loss == min(loss for step, loss in validation_losses(run).items() if step)
    again = PeftModel.from_pretrained(load_base(base_folder), run.folder.artefact)
    held_out = tokenize(load_tokenizer(base_folder), read_examples(run.order.dataset_file), "validation", 256)
    loss = CompletionLoss(again, detect_device(), "fp32")
    assert (
        validation_loss(loss, [make_batch(held_out, rows, 1) for rows in plan_evaluation(held_out, [0, 1])])
        == result.validation_loss
    )


def test_a_curve_has_a_point_for_every_step_and_at_least_ten_evaluations(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=6, batch_size=4, early_stopping=False)
    result = train_here(run)
    told = [line.metric for line in run.journal() if line.metric]
    assert {metric.step for metric in told if metric.train_loss is not None} == set(range(1, 13))
    assert len(validation_losses(run)) >= 11
    assert result.steps == 12
    assert [line.phase for line in run.journal() if line.phase] == ["preparing", "training", "finishing"]
    assert [line.steps for line in run.journal() if line.steps] == [12]


def test_time_left_is_told_with_every_step_and_ends_near_nothing(order_run: OrderRun) -> None:
    run = order_run("last-layers", epochs=10, batch_size=4, early_stopping=False)
    train_here(run)
    left = [line.seconds_left for line in run.journal() if line.metric and line.metric.step]
    assert None not in left
    assert left[-1] < 0.2 * max(left)


def test_it_stops_when_it_starts_to_copy_and_keeps_the_best(order_run: OrderRun) -> None:
    run = order_run("all-layers", epochs=100, batch_size=8)
    result = train_here(run)
    assert result.stopped_because == "early_stopping"
    losses = list(validation_losses(run).values())
    assert all(loss >= min(losses[1:]) for loss in losses[-PATIENCE:])
    assert result.validation_loss == min(losses[1:])


def test_the_first_checkpoint_too_waits_until_it_is_a_twentieth_of_the_time(
    order_run: OrderRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = order_run("all-layers")
    monkeypatch.delenv("VOICEWRIGHT_CHECKPOINT_SECONDS", raising=False)

    def prepare() -> Attempt:
        attempt = Attempt(run.folder, run.order, Commands(os.pipe()[0]), Journal(run.folder.journal, 1))
        attempt.prepare()
        return attempt

    small = prepare()
    assert small.checkpoint_interval == training.CHECKPOINT_SECONDS
    # As if the model were so large that a checkpoint takes two seconds.
    expected_bytes = 3 * sum(value.nbytes for value in small.learnt.values())
    monkeypatch.setattr(training, "CHECKPOINT_BYTES_PER_SECOND", expected_bytes / 2)
    large = prepare()
    assert large.checkpoint_interval == pytest.approx(2 / training.CHECKPOINT_SHARE)
    large.saved_at = time.monotonic() - training.CHECKPOINT_SECONDS - 1
    large.save_checkpoint_if_due()
    assert not large.folder.checkpoints.exists()


def test_looking_at_the_base_leaves_exactly_the_chosen_weights_learning(
    method_name: MethodName, order_run: OrderRun
) -> None:
    run = order_run(method_name)
    attempt = Attempt(run.folder, run.order, Commands(os.pipe()[0]), Journal(run.folder.journal, 1))
    attempt.prepare()
    with attempt.loss.untouched_base():
        pass
    assert {name for name, p in attempt.model.named_parameters() if p.requires_grad} == set(attempt.learnt)


# --- commands -------------------------------------------------------------------------------------------


def test_stop_keeps_the_best_and_succeeds(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=30)
    result = train_here(run, at_step=2, say=b"stop\n")
    assert (result.outcome, result.stopped_because, result.steps) == ("succeeded", "stopped", 2)
    assert (run.folder.artefact / "adapter_model.safetensors").exists()


def test_stop_before_the_first_evaluation_still_keeps_what_was_learnt(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=60)
    result = train_here(run, at_step=0, say=b"stop\n")
    assert (result.outcome, result.steps, result.best_step) == ("succeeded", 1, 1)


@pytest.mark.parametrize(("word", "outcome"), [(b"pause\n", "paused"), (None, "interrupted")])
def test_a_run_that_was_left_goes_on_to_the_very_same_bits(
    word: bytes | None, outcome: str, order_run: OrderRun
) -> None:
    whole, broken = order_run("lora"), order_run("lora")
    train_here(whole)
    assert train_here(broken, at_step=3, say=word).outcome == outcome
    assert not broken.folder.artefact.exists()
    broken.next_attempt()
    result = train_here(broken)
    assert result.outcome == "succeeded"
    assert result.exact_resume
    assert [line.resumed_from_step for line in broken.journal() if line.resumed_from_step] == [3]
    assert broken.artefact_digest() == whole.artefact_digest()


def test_cancel_leaves_no_artefact(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=30)
    assert train_here(run, at_step=2, say=b"cancel\n").outcome == "cancelled"
    assert not run.folder.artefact.exists()


def test_seconds_and_time_left_go_on_after_a_resume(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=10)
    first = train_here(run, at_step=5, say=b"pause\n")
    run.next_attempt()
    second = train_here(run)
    told = [line for line in run.journal() if line.metric and line.attempt == 2]
    assert told[0].metric.step == 5, "the evaluation that the pause gave up"
    assert told[0].metric.seconds > max(m.seconds for m in metrics(run) if m.attempt == 1)
    assert told[0].seconds_left is not None
    assert second.seconds > first.seconds


# --- kills and damage (real processes) --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["last-layers", "lora"])
def test_killed_in_the_middle_it_ends_with_the_very_same_bits(name: MethodName, order_run: OrderRun) -> None:
    whole, broken = order_run(name), order_run(name)
    train_here(whole)
    assert broken.train(fault="step:4:kill9") is None
    with broken.folder.journal.open("a") as journal:
        journal.write('{"attempt": 1, "torn')
    broken.next_attempt()
    result = train_here(broken)
    assert result.outcome == "succeeded"
    assert result.exact_resume
    assert broken.artefact_digest() == whole.artefact_digest()
    assert train_loss_by_step(broken) == train_loss_by_step(whole)
    assert [line.resumed_from_step for line in broken.journal() if line.resumed_from_step] == [3]


def test_resumed_by_a_trainer_that_adds_up_in_another_order_it_does_not_call_itself_exact(
    order_run: OrderRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = order_run("lora")
    train_here(run, at_step=3, say=b"pause\n")
    monkeypatch.setattr(device, "ARITHMETIC", device.ARITHMETIC + 1)
    run.next_attempt()
    result = train_here(run)
    assert result.outcome == "succeeded"
    assert not result.exact_resume


def test_killed_between_saving_and_the_result_it_publishes_again(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=1)
    assert run.train(fault="result_write:1:kill9") is None
    before = run.artefact_digest()
    run.next_attempt()
    assert train_here(run).outcome == "succeeded"
    assert run.artefact_digest() == before


def test_an_engine_that_vanishes_is_noticed_within_seconds(order_run: OrderRun) -> None:
    run = order_run("all-layers", epochs=100, batch_size=1, early_stopping=False)
    process = run.start(VOICEWRIGHT_CHECKPOINT_SECONDS="1000")
    while not run.folder.journal.exists() or '"step":3' not in run.folder.journal.read_text():
        time.sleep(0.05)
        assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=5) == 0
    assert run.result().outcome == "interrupted"
    assert any(run.folder.checkpoints.glob("step-*"))


def test_a_damaged_checkpoint_costs_steps_but_not_the_run(order_run: OrderRun) -> None:
    whole, broken = order_run("lora"), order_run("lora")
    train_here(whole)
    train_here(broken, at_step=3, say=b"pause\n")
    (newest,) = broken.folder.checkpoints.glob("step-*")
    (newest / "weights.safetensors").write_bytes(b"damage")
    broken.next_attempt()
    assert train_here(broken).outcome == "succeeded"
    assert broken.artefact_digest() == whole.artefact_digest()
    assert len(list((broken.folder.checkpoints / "quarantine").iterdir())) == 1


# --- mishaps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("step:5:nan", "diverged"),
        ("step:2:oom", "out_of_memory"),
        ("ckpt_file:1:enospc", "disk_full"),
        ("publish_rename:2:enospc", "disk_full"),
        ("step:2:exc", "unexpected"),
    ],
)
def test_a_mishap_is_told_in_a_sentence(
    fault: str, code: str, order_run: OrderRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEWRIGHT_FAULT", fault)
    run = order_run("lora", epochs=4)
    result = train_here(run)
    assert result.outcome == "failed"
    assert result.failure.code == code
    assert result.failure.what_you_have and result.failure.what_to_do
    assert str(run.folder.root) not in result.failure.sentence
    assert not list(run.folder.checkpoints.glob(".writing-*"))


def test_a_loss_that_runs_away_ends_the_run_and_publishes_nothing(
    order_run: OrderRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEWRIGHT_FAULT", "step:5:nan")
    run = order_run("lora", epochs=4)
    result = train_here(run)
    assert result.failure.code == "diverged"
    assert "smaller learning rate" in result.failure.what_to_do
    assert not run.folder.artefact.exists()


def test_a_base_model_that_changed_since_the_order_is_refused(order_run: OrderRun) -> None:
    run = order_run("lora")
    run.order = run.order.model_copy(update={"base_model_fingerprint": "0" * 64})
    assert train_here(run).failure.code == "model_unusable"


def test_no_example_to_learn_from_is_said(order_run: OrderRun, examples: list[Example]) -> None:
    run = order_run("lora", rows=[example.model_copy(update={"split": "validation"}) for example in examples])
    assert train_here(run).failure.code == "too_few_examples"


def test_without_validation_examples_the_last_version_is_kept(
    order_run: OrderRun, examples: list[Example]
) -> None:
    run = order_run("lora", rows=examples[:8])
    result = train_here(run)
    assert (result.outcome, result.validation_loss, result.validation_loss_base) == ("succeeded", None, None)


def test_no_file_of_a_run_is_pickled(order_run: OrderRun) -> None:
    run = order_run("lora", epochs=1)
    train_here(run)
    written = {file.suffix for file in run.folder.root.rglob("*") if file.is_file()}
    assert written <= {".json", ".jsonl", ".safetensors", ".jinja", ".log"}


# --- the plan -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "epochs"), [(6, 3), (7, 1), (100, 2), (2200, 100)])
def test_evaluations_end_with_the_last_step_and_are_at_least_ten_or_two_an_epoch(
    steps: int, epochs: int
) -> None:
    planned = evaluation_steps(steps, epochs)
    assert planned[-1] == steps
    assert len(planned) == min(steps, max(10, 2 * epochs))
    assert planned == sorted(set(planned))


def test_evaluating_costs_at_most_a_fifth_of_training(tiny_model_folder: Path, order_run: OrderRun) -> None:
    recipe = order_run("last-layers", epochs=1).order.recipe
    flops = get_method("last-layers").count_flops(read_shape(tiny_model_folder), recipe)
    train, validation = [(80, 50)] * 1000, [(80, 50)] * 500
    rows = choose_validation_rows(train, validation, recipe, flops)
    evaluated = 11 * len(rows) * flops.evaluation(80, 50)
    assert 0.15 < evaluated / sum(flops.training(*one) for one in train) <= 0.2
    assert rows == sorted(set(rows)) and rows[-1] > 400


def test_few_held_out_examples_are_all_evaluated(tiny_model_folder: Path, order_run: OrderRun) -> None:
    recipe = order_run("lora", epochs=1).order.recipe
    flops = get_method("lora").count_flops(read_shape(tiny_model_folder), recipe)
    assert choose_validation_rows([(80, 50)] * 50, [(80, 50)] * 5, recipe, flops) == [0, 1, 2, 3, 4]


def test_the_learning_rate_warms_up_and_then_falls() -> None:
    rates = [learning_rate_at(step, 100, 1.0) for step in range(1, 101)]
    assert rates.index(max(rates)) == 9
    assert max(rates) == 1.0
    assert 0 < rates[-1] < 0.06
