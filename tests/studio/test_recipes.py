"""One method is recommended, for these examples on this machine, with the reason."""

import pytest

from engine.contract.records import METHOD_NAMES, Estimate, Machine, MethodName, Recipe
from studio.recipes import KNOBS, METHOD_TEXTS, knobs_for, recommend

CPU = Machine(
    device="cpu",
    device_title="2 cores",
    device_reason="no graphics card was found",
    cores=2,
    memory_bytes=24_000_000_000,
    memory_available_bytes=20_000_000_000,
    disk_free_bytes=100_000_000_000,
    calibrated=True,
)
GPU = CPU.model_copy(update={"device": "cuda", "device_title": "RTX 4070"})


def estimate(method: MethodName, seconds: float, peak: int = 800_000_000, fits: bool = True) -> Estimate:
    return Estimate(
        method=method,
        recipe=Recipe(method=method),
        steps=100,
        trainable_parameters=100_000,
        seconds=seconds,
        seconds_range=(0.8 * seconds, 1.3 * seconds),
        peak_memory_bytes=peak,
        memory_available_bytes=20_000_000_000,
        fits=fits,
        download_bytes=20_000_000,
        adapter_bytes=400_000,
        energy_kwh_range=(0.001, 0.002),
        electricity_cost_range=(0.0003, 0.0006),
        rented_gpu_cost_range=(0.01, 0.02),
        currency="€",
        calibrated=True,
        basis="Measured on this machine.",
    )


def estimates(lora: float, last: float) -> list[Estimate]:
    seconds = {"last-layers": last, "all-layers": 2 * lora, "p-tuning": 1.5 * lora, "lora": lora}
    return [estimate(method, seconds[method]) for method in METHOD_NAMES]


@pytest.mark.parametrize(
    ("lora", "last", "examples", "machine", "method"),
    [
        (120, 60, 30, CPU, "lora"),
        (120, 60, 196, CPU, "lora"),
        (120, 60, 196, GPU, "lora"),
        (3000, 900, 5000, CPU, "last-layers"),
        (3000, 2900, 5000, CPU, "lora"),
    ],
)
def test_a_safe_method_is_recommended(
    lora: float, last: float, examples: int, machine: Machine, method: MethodName
) -> None:
    assert recommend(estimates(lora, last), examples, machine).method == method


def test_the_reason_names_these_examples_and_this_machine() -> None:
    reason = recommend(estimates(180, 60), 196, CPU).reason
    assert "196 examples" in reason
    assert "2 cores and no graphics card" in reason
    assert "about 2–4 minutes" in reason
    assert "800 MB of your 24 GB" in reason
    assert "RTX 4070" in recommend(estimates(180, 60), 196, GPU).reason


def test_what_does_not_fit_is_not_recommended() -> None:
    all_four = estimates(180, 60)
    only_last = [
        item if item.method == "last-layers" else item.model_copy(update={"fits": False}) for item in all_four
    ]
    assert recommend(only_last, 196, CPU).method == "last-layers"
    without = [item.model_copy(update={"fits": item.method == "p-tuning"}) for item in all_four]
    assert recommend(without, 196, CPU).method == "p-tuning"


def test_if_nothing_fits_the_smallest_is_named_and_the_way_out() -> None:
    peaks = zip(METHOD_NAMES, (30, 90, 40, 50), strict=True)
    none = [estimate(method, 60, peak * 10**9, fits=False) for method, peak in peaks]
    recommendation = recommend(none, 196, CPU)
    assert recommendation.method == "last-layers"
    assert "no method fits" in recommendation.reason
    assert "smaller base model" in recommendation.reason


def test_every_method_and_every_setting_is_told() -> None:
    assert set(METHOD_TEXTS) == set(METHOD_NAMES)
    told = {knob.field for knob in KNOBS}
    assert told == set(Recipe.model_fields) - {"base_model", "method"}
    assert {knob.field for knob in knobs_for("lora")} - {knob.field for knob in knobs_for("all-layers")} == {
        "rank"
    }
