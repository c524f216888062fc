"""What a run will take before it starts: time as a range, memory, money, bytes to download.

Counts the work of a recipe (tokens x parameters x passes) and turns it into seconds with what was measured on
this machine (`engine/calibration.py`) and learnt from finished runs. Does not know torch, files or HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from engine.calibration import Calibration, assume_calibration
from engine.contract.records import Estimate, Machine, MethodName, Recipe, Run, Settings
from engine.methods import get_method
from engine.work import Computing, TokenLengths, Work, count_work

if TYPE_CHECKING:
    from engine.models.inspect import ModelShape

# How far off the counting may be: from counted / below to counted x above. On a shared machine, whose speed
# changes by the minute, runs took 0.78 to 1.23 of what was counted; beside other work, up to twice as long.
SPREAD_ASSUMED = (2.0, 3.0)
SPREAD_CALIBRATED = (1.3, 1.6)
SPREAD_LEARNT = (1.15, 1.35)
RUNS_TO_LEARN = 3
RUNS_REMEMBERED = 5
CORRECTION_LIMITS = (0.4, 2.5)

# Of the planned steps, what a run takes that may stop early. The defaults plan as many as a voice needs: on
# the sample voice with the model in the box every method took all of them.
TYPICAL_SHARE: dict[MethodName, float] = {
    "last-layers": 0.95,
    "all-layers": 0.95,
    "p-tuning": 1.0,
    "lora": 0.95,
}
EARLIER, LATER = 0.7, 1.4
"""A run may stop at so much less or more than its typical share, and never after all steps."""

# The rest is for the browser, the answers and whatever else the person has open.
USABLE_SHARE_OF_MEMORY = 0.9

JOULES_PER_KWH = 3.6e6

# As in `training.py`, which imports torch.
SECONDS_BETWEEN_CHECKPOINTS = 15.0
MOST_CHECKPOINT_SHARE = 0.05


@dataclass(frozen=True)
class Seconds:
    """`fixed` is spent however early a run stops, `stepwise` grows with the steps taken."""

    fixed: float
    stepwise: float

    @classmethod
    def of(cls, estimate: Estimate) -> Seconds:
        return cls(estimate.fixed_seconds, estimate.counted_seconds - estimate.fixed_seconds)

    def after(self, share_of_steps: float) -> float:
        return self.fixed + self.stepwise * share_of_steps


@dataclass(frozen=True)
class FinishedRun:
    """What was counted for a run (without any correction, for the steps it took) and what came out."""

    method: MethodName
    base_fingerprint: str
    created_at: float
    calibrated: bool
    counted_seconds: float
    seconds: float
    counted_memory_bytes: int
    peak_memory_bytes: int
    share_of_steps: float | None
    """Taken of those planned; None if the run could not stop early, or a person stopped it."""

    @classmethod
    def from_run(cls, run: Run, base_fingerprint: str) -> FinishedRun | None:
        """None for a run that teaches nothing: not finished in one go, or without an estimate."""
        estimate = run.estimate
        whole = run.state == "succeeded" and run.attempt <= 1 and run.seconds and run.peak_memory_bytes
        if not whole or estimate is None or estimate.counted_seconds <= 0 or run.steps <= 0:
            return None
        share = run.step / run.steps
        chose_itself = run.recipe.early_stopping and run.stopped_because != "stopped"
        return cls(
            method=run.recipe.method,
            base_fingerprint=base_fingerprint,
            created_at=run.created_at,
            calibrated=estimate.calibrated,
            counted_seconds=Seconds.of(estimate).after(share),
            seconds=run.seconds or 0.0,
            counted_memory_bytes=estimate.counted_memory_bytes,
            peak_memory_bytes=run.peak_memory_bytes or 0,
            share_of_steps=share if chose_itself else None,
        )


# --- seconds --------------------------------------------------------------------------------------------


def count_seconds(work: Work, calibration: Calibration, method: MethodName) -> Seconds:
    rates = calibration.rates[method]
    evaluation = work.evaluation_flops / rates.evaluation_flops_per_second
    once = work.once_flops / rates.evaluation_flops_per_second
    steps = work.steps * rates.step_seconds + work.training_flops / rates.training_flops_per_second
    checkpoints = min(MOST_CHECKPOINT_SHARE, rates.finishing_seconds / SECONDS_BETWEEN_CHECKPOINTS)
    # The first one is part of the start. An evaluation goes forth only: a third of a step.
    new_shapes = max(0, work.training_shapes - 1) + work.evaluation_shapes / 3
    return Seconds(
        fixed=rates.startup_seconds
        + new_shapes * calibration.shape_seconds
        + once
        + evaluation
        + rates.finishing_seconds,
        stepwise=(steps + work.evaluations * evaluation) * (1 + checkpoints),
    )


@dataclass(frozen=True)
class Correction:
    """What finished runs of the same model and method say about the counting."""

    runs: int
    seconds: float
    """Actual divided by counted."""
    memory: float
    share_of_steps: float
    """That a run takes if it may stop early."""


def learn_correction(history: list[FinishedRun], method: MethodName, calibration: Calibration) -> Correction:
    """Medians over the latest runs, in which what is said without them has one vote.

    Only runs estimated with this calibration count: an older one may have had other errors.
    """
    alike = [
        run
        for run in history
        if run.method == method
        and run.base_fingerprint == calibration.fingerprint
        and run.calibrated
        and run.created_at >= calibration.measured_at
    ]
    latest = sorted(alike, key=lambda run: run.created_at)[-RUNS_REMEMBERED:]
    return Correction(
        runs=len(latest),
        seconds=_vote([run.seconds / run.counted_seconds for run in latest]),
        memory=_vote([run.peak_memory_bytes / run.counted_memory_bytes for run in latest]),
        share_of_steps=median(
            [TYPICAL_SHARE[method], *(run.share_of_steps for run in latest if run.share_of_steps)]
        ),
    )


def _vote(ratios: list[float]) -> float:
    low, high = CORRECTION_LIMITS
    return min(max(median([1.0, *ratios]), low), high)


def _shares(recipe: Recipe, correction: Correction) -> tuple[float, float, float]:
    """(early, typical, late) share of the planned steps."""
    if not recipe.early_stopping:
        return 1.0, 1.0, 1.0
    typical = correction.share_of_steps
    return EARLIER * typical, typical, min(1.0, LATER * typical)


def _spread(calibration: Calibration, runs: int) -> tuple[float, float]:
    if runs >= RUNS_TO_LEARN:
        return SPREAD_LEARNT
    return SPREAD_CALIBRATED if calibration.measured else SPREAD_ASSUMED


def _basis(calibration: Calibration, correction: Correction) -> str:
    if correction.runs:
        runs = "one earlier run" if correction.runs == 1 else f"{correction.runs} earlier runs"
        return f"Counted from your examples and corrected by {runs} of this method on this machine."
    if calibration.measured:
        return "Counted from your examples and the speed measured on this machine."
    return "Counted from your examples at an assumed speed, because this machine has not been measured yet."


# --- money ----------------------------------------------------------------------------------------------

# A rented card of the 24 GB class on small models, from well fed to starved, and what is billed before the
# first step: booting, installing and uploading.
RENTED_FLOPS_PER_SECOND = (2e13, 4e12)
RENTED_STEP_SECONDS = (0.015, 0.06)
RENTED_SETUP_SECONDS = (120.0, 600.0)
BILLED_SECONDS = 60.0


def energy_kwh(seconds: float, watts: float) -> float:
    return seconds * watts / JOULES_PER_KWH


def rented_gpu_cost(work: Work, price_per_hour: float) -> tuple[float, float]:
    """All planned steps on a rented 24 GB card, from a good case to a bad one, in whole minutes.

    Assumed, not measured: 20 to 4 TFLOP/s and 15 to 60 ms a step, after 2 to 10 minutes of booting,
    installing and uploading, which are billed too. For small models these minutes are nearly all of it.
    """
    flops = work.training_flops + (work.evaluations + 1) * work.evaluation_flops
    low, high = (
        setup + flops / rate + work.steps * step
        for setup, rate, step in zip(
            RENTED_SETUP_SECONDS, RENTED_FLOPS_PER_SECOND, RENTED_STEP_SECONDS, strict=True
        )
    )
    return _billed(low) * price_per_hour / 3600, _billed(high) * price_per_hour / 3600


def _billed(seconds: float) -> float:
    return math.ceil(seconds / BILLED_SECONDS) * BILLED_SECONDS


# --- the estimate ---------------------------------------------------------------------------------------


def estimate_run(
    shape: ModelShape,
    recipe: Recipe,
    lengths: TokenLengths,
    calibration: Calibration | None,
    settings: Settings,
    machine: Machine,
    history: list[FinishedRun],
) -> Estimate:
    """The point is a typical run: one that may stop early takes the share of its steps that such runs took.
    The ends are an early stop on a fast day and a late one on a slow day, for which no trainer stood ready.
    """
    method = get_method(recipe.method)
    recipe = method.build_recipe(recipe, len(lengths.train), shape)
    calibration = calibration or assume_calibration(machine, 4 * shape.parameters)
    computing = Computing.on(machine.device, shape, calibration.precision)
    work = count_work(shape, recipe, lengths, computing)
    counted = count_seconds(work, calibration, recipe.method)
    correction = learn_correction(history, recipe.method, calibration)
    early, typical, late = (
        counted.after(share) * correction.seconds for share in _shares(recipe, correction)
    )
    below, above = _spread(calibration, correction.runs)
    seconds_range = (early / below, late * above + calibration.loading_seconds)
    overhead = calibration.rates[recipe.method].memory_overhead_bytes
    counted_memory = calibration.resident_bytes + work.working_bytes + overhead
    memory = int(counted_memory * correction.memory)
    energy = _each(seconds_range, lambda seconds: energy_kwh(seconds, settings.machine_watts))
    adapter = method.artefact_bytes(shape, recipe)
    return Estimate(
        method=recipe.method,
        recipe=recipe,
        steps=work.steps,
        trainable_parameters=work.trainable,
        seconds=typical,
        seconds_range=seconds_range,
        peak_memory_bytes=memory,
        memory_available_bytes=machine.memory_available_bytes,
        fits=memory <= USABLE_SHARE_OF_MEMORY * machine.memory_available_bytes,
        download_bytes=adapter,
        download_with_base_bytes=adapter + (shape.bytes if method.IS_ADAPTER else 0),
        adapter_bytes=adapter,
        energy_kwh_range=energy,
        electricity_cost_range=_each(energy, lambda kwh: kwh * settings.electricity_price_per_kwh),
        rented_gpu_cost_range=rented_gpu_cost(work, settings.rented_gpu_price_per_hour),
        currency=settings.currency,
        calibrated=calibration.measured,
        basis=_basis(calibration, correction),
        counted_seconds=counted.after(1.0),
        fixed_seconds=counted.fixed,
        counted_memory_bytes=counted_memory,
    )


def _each(ends: tuple[float, float], convert: Callable[[float], float]) -> tuple[float, float]:
    return convert(ends[0]), convert(ends[1])
