"""What a person is told before the start: counted, honest about what it rests on, better with every run."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.calibration import Calibration, Facts, MethodRates
from engine.contract.prices import load_prices
from engine.contract.records import METHOD_NAMES, Estimate, Machine, MethodName, Recipe, Settings, TokenCounts
from engine.estimates import SPREAD_CALIBRATED, TYPICAL_SHARE, FinishedRun, estimate_run
from engine.methods import get_method
from engine.models.inspect import ModelShape
from engine.work import Computing, TokenLengths, Tokens, count_work

SHAPE = ModelShape(
    parameters=6_229_248,
    layers=6,
    hidden_size=256,
    intermediate_size=640,
    heads=4,
    kv_heads=2,
    head_dim=64,
    vocabulary=8192,
    window_tokens=512,
    tied_embeddings=True,
    layer_parameters=688_640,
    bytes=13_000_000,
    tokenizer_bytes=550_000,
)
MACHINE = Machine(
    device="cpu",
    device_title="A processor",
    device_reason="no NVIDIA graphics card was found",
    cores=4,
    memory_bytes=16 * 10**9,
    memory_available_bytes=9 * 10**9,
    disk_free_bytes=10**11,
    calibrated=True,
)
CALIBRATION = Calibration(
    fingerprint="f" * 64,
    facts=Facts(device="cpu", device_title="A processor", cores=4, libraries="torch 2.13.0", counting=1),
    measured_at=1_000.0,
    load_average=0.1,
    threads=4,
    precision="bf16",
    precision_reason="it was faster",
    loading_seconds=3.0,
    shape_seconds=0.1,
    resident_bytes=500_000_000,
    rates=dict.fromkeys(
        METHOD_NAMES,
        MethodRates(
            startup_seconds=1.0,
            step_seconds=0.04,
            training_flops_per_second=2e11,
            evaluation_flops_per_second=2e11,
            finishing_seconds=0.1,
            memory_overhead_bytes=80_000_000,
        ),
    ),
)


IN_ROWS = Computing(in_rows=True, precision="bf16")


def examples(count: int, tokens: int = 80) -> TokenLengths:
    """Nine in ten to learn from, of lengths around `tokens`."""
    lengths = [Tokens(20, max(1, tokens - 20 + number % 30 - 15)) for number in range(count)]
    return TokenLengths(train=lengths[count // 10 :], validation=lengths[: count // 10])


def estimate(method: MethodName = "lora", count: int = 200, **given: Any) -> Estimate:
    recipe = Recipe(method=method, **given.pop("recipe", {}))
    arguments: dict[str, Any] = {
        "shape": SHAPE,
        "recipe": recipe,
        "lengths": examples(count),
        "calibration": CALIBRATION,
        "settings": Settings(),
        "machine": MACHINE,
        "history": [],
    }
    return estimate_run(**(arguments | given))


def finished(ratio: float, share: float | None = None, **changes: Any) -> FinishedRun:
    """A LoRA run that took `ratio` times what was counted."""
    facts: dict[str, Any] = {
        "method": "lora",
        "base_fingerprint": CALIBRATION.fingerprint,
        "created_at": 2_000.0,
        "calibrated": True,
        "counted_seconds": 100.0,
        "seconds": 100.0 * ratio,
        "counted_memory_bytes": 10**9,
        "peak_memory_bytes": int(ratio * 10**9),
        "share_of_steps": share,
    }
    return FinishedRun(**(facts | changes))


# --- time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calibration", [CALIBRATION, None])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_point_lies_in_its_range(
    method_name: MethodName, calibration: Calibration | None, early_stopping: bool
) -> None:
    told = estimate(method_name, calibration=calibration, recipe={"early_stopping": early_stopping})
    low, high = told.seconds_range
    assert 0 < low < told.seconds < high


def test_a_size_of_batch_that_comes_for_the_first_time_costs_extra() -> None:
    slow = CALIBRATION.model_copy(update={"shape_seconds": CALIBRATION.shape_seconds + 1.0})

    def extra(train: list[Tokens]) -> float:
        given: dict[str, Any] = {
            "lengths": TokenLengths(train, validation=[Tokens(40, 40)] * 4),
            "recipe": {"batch_size": 8},
        }
        return estimate(calibration=slow, **given).fixed_seconds - estimate(**given).fixed_seconds

    # The first size of the steps is part of the start; the one evaluation goes forth only.
    assert extra([Tokens(40, 40)] * 64) == pytest.approx(1 / 3)
    assert extra([Tokens(40, 24 + 16 * (row // 8)) for row in range(64)]) == pytest.approx(7 + 1 / 3)


def test_more_examples_or_epochs_never_take_less(method_name: MethodName) -> None:
    by_rows = [
        estimate(method_name, count, recipe={"epochs": 4, "batch_size": 8}) for count in (50, 200, 800)
    ]
    by_epochs = [estimate(method_name, recipe={"epochs": epochs}) for epochs in (1, 3, 9)]
    for told in (by_rows, by_epochs):
        seconds = [one.seconds for one in told]
        assert seconds == sorted(seconds)
        assert seconds[-1] > 1.5 * seconds[0]
        memory = [one.peak_memory_bytes for one in told]
        assert memory == sorted(memory)


def test_longer_examples_take_longer_and_more_memory(method_name: MethodName) -> None:
    short, long = (estimate(method_name, lengths=examples(200, tokens)) for tokens in (50, 200))
    assert long.seconds > short.seconds
    assert long.peak_memory_bytes > short.peak_memory_bytes


def test_a_step_of_the_last_layers_is_the_least_work_and_one_of_all_layers_the_most() -> None:
    def flops_per_step(method: MethodName) -> float:
        recipe = get_method(method).build_recipe(Recipe(method=method, batch_size=8), 180, SHAPE)
        work = count_work(SHAPE, recipe, examples(200), IN_ROWS)
        return work.training_flops / work.steps

    by_work = sorted(METHOD_NAMES, key=flops_per_step)
    assert by_work[0] == "last-layers"
    assert by_work[-1] == "all-layers"


def test_without_a_calibration_the_range_is_wide_and_says_why() -> None:
    told = estimate(calibration=None)
    assert not told.calibrated
    assert told.seconds_range[1] > 5 * told.seconds_range[0]
    assert "assumed" in told.basis


def test_a_run_that_must_take_all_its_steps_is_told_for_all_of_them() -> None:
    told = estimate(recipe={"early_stopping": False})
    assert told.seconds == pytest.approx(told.counted_seconds)
    assert told.seconds_range[1] == pytest.approx(told.seconds * SPREAD_CALIBRATED[1] + 3.0)


def test_a_run_that_may_stop_early_is_told_shorter() -> None:
    told = estimate(recipe={"early_stopping": True})
    stepwise = told.counted_seconds - told.fixed_seconds
    assert told.seconds == pytest.approx(told.fixed_seconds + TYPICAL_SHARE["lora"] * stepwise)


def test_the_recipe_comes_back_with_every_default(method_name: MethodName) -> None:
    told = estimate(method_name)
    assert told.recipe.epochs and told.recipe.batch_size and told.recipe.learning_rate
    assert told.steps == math.ceil(180 / told.recipe.batch_size) * told.recipe.epochs


# --- learning from finished runs --------------------------------------------------------------------------


def test_slower_runs_make_the_next_estimate_slower() -> None:
    before, after = estimate(), estimate(history=[finished(1.4), finished(1.5)])
    assert after.seconds == pytest.approx(1.4 * before.seconds)
    assert after.peak_memory_bytes == pytest.approx(1.4 * before.peak_memory_bytes, rel=1e-6)
    assert "2 earlier runs" in after.basis


def test_one_odd_run_does_not_spoil_what_the_others_say() -> None:
    steady = [finished(1.2), finished(1.2), finished(1.2)]
    assert estimate(history=[*steady, finished(40.0)]).seconds == estimate(history=steady).seconds


def test_a_correction_never_leaves_sight_of_what_was_counted() -> None:
    assert estimate(history=[finished(1000.0)] * 5).seconds <= 2.5 * estimate().seconds


def test_what_is_kept_of_an_estimate_is_not_corrected_so_that_corrections_do_not_pile_up() -> None:
    first, second = estimate(), estimate(history=[finished(1.5)] * 3)
    assert second.counted_seconds == first.counted_seconds
    assert second.counted_memory_bytes == first.counted_memory_bytes


def test_several_runs_make_the_range_narrower() -> None:
    def width(told: Estimate) -> float:
        return told.seconds_range[1] / told.seconds_range[0]

    assert width(estimate(history=[finished(1.0)] * 3)) < width(estimate())


def test_runs_that_stopped_early_are_expected_to_do_so_again() -> None:
    early = estimate(history=[finished(1.0, share=0.2)] * 3)
    late = estimate(history=[finished(1.0, share=1.0)] * 3)
    assert early.seconds < estimate().seconds < late.seconds


@pytest.mark.parametrize(
    "change",
    [{"method": "p-tuning"}, {"base_fingerprint": "0" * 64}, {"created_at": 10.0}, {"calibrated": False}],
    ids=["of another method", "of another model", "from before the calibration", "not calibrated"],
)
def test_a_run_teaches_nothing_if_it_was(change: dict[str, Any]) -> None:
    assert estimate(history=[finished(2.0, share=0.1, **change)] * 3).seconds == estimate().seconds


# --- memory, money, bytes ---------------------------------------------------------------------------------


def test_what_does_not_fit_into_free_memory_is_said_not_to_fit() -> None:
    assert estimate().fits
    assert not estimate(machine=MACHINE.model_copy(update={"memory_available_bytes": 600_000_000})).fits


def test_electricity_is_watts_times_time_times_price() -> None:
    settings = Settings(electricity_price_per_kwh=0.5, machine_watts=100)
    told = estimate(settings=settings)
    for seconds, kwh, cost in zip(
        told.seconds_range, told.energy_kwh_range, told.electricity_cost_range, strict=True
    ):
        assert kwh == pytest.approx(seconds * 100 / 3.6e6)
        assert cost == pytest.approx(kwh * 0.5)


def test_prices_nobody_has_set_are_those_of_the_dated_table() -> None:
    prices = load_prices()
    assert Settings().electricity_price_per_kwh == prices.electricity.price_per_kwh
    lowest, *_, highest = sorted(card.price_per_hour for card in prices.rented_cards)
    assert lowest <= Settings().rented_gpu_price_per_hour <= highest
    assert all(card.source for card in prices.rented_cards)


def test_a_rented_gpu_is_billed_by_the_minute_with_its_set_up() -> None:
    low, high = estimate(settings=Settings(rented_gpu_price_per_hour=60)).rented_gpu_cost_range
    assert low == pytest.approx(round(low))
    assert high == pytest.approx(round(high))
    assert 2 < low < high


def test_a_download_is_the_adapter_and_brings_its_base_along_if_wanted() -> None:
    for method in METHOD_NAMES:
        found = estimate(method)
        assert found.download_bytes == found.adapter_bytes
        extra = SHAPE.bytes if get_method(method).IS_ADAPTER else 0
        assert found.download_with_base_bytes - found.download_bytes == extra


# --- the counting agrees with the trainer -----------------------------------------------------------------


def test_the_counted_batches_hold_as_much_padding_as_the_trainers() -> None:
    from engine.batches import plan_epoch, round_up
    from engine.work import plan_training

    lengths = [Tokens(10 + number % 7, 20 + (number * 37) % 150) for number in range(300)]
    counted = sum(len(batch) * round_up(max(map(sum, batch)), 16) for batch in plan_training(lengths, 8))
    totals = [sum(tokens) for tokens in lengths]
    planned = plan_epoch(totals, 8, seed=3, epoch=1)
    trained = sum(len(rows) * round_up(max(totals[row] for row in rows), 16) for rows in planned)
    assert counted == pytest.approx(trained, rel=0.03)


def test_numbers_that_torch_keeps_from_being_imported_are_the_trainers() -> None:
    from engine import backends, batches, estimates, training, work
    from engine.device import ATTENTION_BLOCK, DTYPES, ROWS_MULTIPLE, SCORES_AT_ONCE

    assert work.BATCHES_PER_GROUP == batches._BATCHES_PER_GROUP
    assert work.EVALUATION_TOKENS == batches._EVALUATION_TOKENS
    assert work.LENGTH_MULTIPLE == batches.LENGTH_MULTIPLE
    assert work.HEAD_MULTIPLE == backends._HEAD_MULTIPLE
    for precision, dtype in DTYPES.items():
        assert work.ROWS_MULTIPLE[precision] == ROWS_MULTIPLE[dtype]
        assert work.ATTENTION_BLOCK[precision] == ATTENTION_BLOCK[dtype]
        assert work.SCORES_AT_ONCE[precision] == SCORES_AT_ONCE[dtype]
    assert estimates.SECONDS_BETWEEN_CHECKPOINTS == training.CHECKPOINT_SECONDS
    assert estimates.MOST_CHECKPOINT_SHARE == training.CHECKPOINT_SHARE


def test_frozen_layers_count_once_where_their_activations_are_kept(
    method_name: MethodName, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = get_method(method_name).build_recipe(Recipe(method=method_name, epochs=5), 90, SHAPE)
    once = count_work(SHAPE, recipe, examples(100), IN_ROWS)
    if method_name != "last-layers":
        assert once.once_flops == 0
        return
    flops = get_method(method_name).count_flops(SHAPE, recipe)
    monkeypatch.setattr(get_method(method_name), "count_flops", lambda *_: replace(flops, frozen_share=0.0))
    again = count_work(SHAPE, recipe, examples(100), IN_ROWS)
    passes_saved = again.training_flops - once.training_flops
    evaluations_saved = again.evaluation_flops - once.evaluation_flops
    assert passes_saved / 5 + evaluations_saved == pytest.approx(once.once_flops)
    # Two of six layers learn: of a pass forward, four are saved.
    assert 0.5 * again.evaluation_flops < evaluations_saved < 0.67 * again.evaluation_flops
    assert once.working_bytes > again.working_bytes


def test_only_a_plain_llama_on_a_processor_keeps_activations() -> None:
    recipe = {"epochs": 10, "early_stopping": False}
    kept = estimate("last-layers", recipe=recipe)
    other = estimate("last-layers", recipe=recipe, shape=replace(SHAPE, is_plain_llama=False))
    card = estimate("last-layers", recipe=recipe, machine=MACHINE.model_copy(update={"device": "cuda"}))
    assert kept.seconds < other.seconds == card.seconds


def test_an_example_beyond_the_window_counts_as_it_is_cut(method_name: MethodName) -> None:
    at_window, beyond = (
        estimate(method_name, lengths=TokenLengths([Tokens(20, tokens)] * 50, [Tokens(20, 40)] * 5))
        for tokens in (SHAPE.window_tokens, 50 * SHAPE.window_tokens)
    )
    assert beyond.seconds == at_window.seconds


def test_lengths_go_to_the_split_of_their_example() -> None:
    counts = TokenCounts(window_tokens=512, prompt_tokens=[1, 2, 3], completion_tokens=[4, 5, 6])
    lengths = TokenLengths.from_counts(counts, ["train", "validation", "train"])
    assert lengths.train == [Tokens(1, 4), Tokens(3, 6)]
    assert lengths.validation == [Tokens(2, 5)]


def test_earlier_turns_make_room_for_the_completion_and_nothing_else_does() -> None:
    counts = TokenCounts(
        window_tokens=100,
        prompt_tokens=[90, 500, 90],
        completion_tokens=[30, 30, 30],
        turn_tokens=[50, 460, 0],
    )
    lengths = TokenLengths.from_counts(counts, ["train"] * 3)
    assert lengths.train == [Tokens(70, 30), Tokens(70, 30), Tokens(90, 30)]


def test_the_supervisor_can_estimate_without_torch() -> None:
    program = (
        "import sys, engine.estimates, engine.calibration;"
        "from engine.methods import get_method;"
        "[get_method(name) for name in ('last-layers', 'all-layers', 'p-tuning', 'lora')];"
        "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
