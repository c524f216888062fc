"""The benchmark still runs: ours and the plainest peer on a tiny model, and the arithmetic of its tables."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contract.records import Estimate, Metric
from tests.base_models import SMALL_MODEL
from tests.benchmarks.estimates import Outcome, Told, do_hold
from tests.benchmarks.measuring import Run
from tests.benchmarks.parity import strays
from tests.benchmarks.table import find_strayed, render_ratios, summarize
from tests.benchmarks.voices import VOICES, choose_shots, read_voice

ROOT = Path(__file__).resolve().parent.parent


def call(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def make_run(side: str, seconds: float, loss: float | None = None) -> Run:
    return Run(
        model="tiny",
        method="lora",
        epochs=1,
        side=side,
        tokens=1000,
        steps=3,
        seconds=seconds,
        startup_seconds=1.0,
        whole_seconds=seconds + 2,
        peak_bytes=10**9,
        loss=loss,
    )


def test_both_sides_take_three_steps_and_learn_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    sides = ("--sides", "ours", "trainer-defaults")
    work = ("--model", "tiny", "--rows", "24", "--methods", "all-layers", "--rounds", "1")
    done = call("compare", *work, *sides, "--keep", str(kept))
    assert done.returncode == 0, done.stderr
    runs = [Run(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()]
    assert [(run.side, run.steps) for run in runs] == [("ours", 3), ("trainer-defaults", 3)]
    assert all(run.loss and run.startup_seconds > 0 and run.peak_bytes > 10**8 for run in runs)
    assert "| tiny, all-layers, 1 epoch |" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "p-tuning", "last-layers:2"])
def test_the_other_methods_and_settings_learn_the_same(method: str) -> None:
    sides = ("--sides", "ours", "trainer-defaults", "trainer-best", "trainer-best-frozen")
    work = ("--model", "tiny", "--rows", "24", "--methods", method, "--rounds", "1")
    done = call("compare", *work, *sides)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_share_of_the_limit_is_told() -> None:
    done = call("limit", "--model", "tiny", "--rows", "24", "--methods", "lora", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert "| tiny, lora, 1 epoch |" in done.stdout


@pytest.mark.slow
def test_ours_learns_as_much_as_a_plain_loop() -> None:
    work = ("--methods", "lora", "--arms", "ours fp32", "--seeds", "2", "--steps", "42")
    done = call("parity", *work)
    assert done.returncode == 0, done.stderr
    assert "| lora | ours fp32 |" in done.stdout


@pytest.mark.slow
def test_estimates_are_held_against_runs_that_are_cut_short() -> None:
    asked = ("--rows", "64", "--methods", "lora:20", "last-layers:20", "--most-steps", "4")
    done = call("estimates", "--model", "tiny", *asked)
    steps = re.findall(r"^\| tiny, .*? \| 64 \| (\d+) \((\d+)\) \|", done.stdout, re.MULTILINE)
    assert [planned for planned, _ in steps] == ["160", "160"], done.stderr
    assert all(int(taken) < 100 for _, taken in steps)
    assert "Time off by" in done.stdout


@pytest.mark.slow
def test_a_voice_is_measured_before_and_after_and_kept(tmp_path: Path) -> None:
    kept, sample = tmp_path / "figures.jsonl", str(ROOT / "assets" / "samples" / "outdoor_shop_voice.csv")
    asked = (sample, "--model", str(SMALL_MODEL), "--rows", "40", "--method", "last-layers")
    done = call("voices", *asked, "--keep", str(kept), "--answers", "2")
    assert done.returncode == 0, done.stderr
    figures = dict(json.loads(line) for line in kept.read_text("utf-8").splitlines())
    untouched, tuned = figures["outdoor_shop_voice"], figures["outdoor_shop_voice last-layers"]
    assert tuned["bits_per_byte"] < min(untouched["alone"], untouched["with_shots"])
    assert done.stdout.count("*untouched:*") == 2


def test_the_voices_of_the_table_have_rows_enough() -> None:
    for file in VOICES:
        voice = read_voice(file, 200)
        assert len(voice.train) >= 150 and len(voice.held_out) >= 20
        assert [turn.role for turn in choose_shots(voice.train)] == ["user", "assistant"] * 3


def make_outcome(seconds: float, gigabytes: float = 1.0) -> Outcome:
    said = Estimate.model_construct(seconds=100.0, seconds_range=(80.0, 130.0), peak_memory_bytes=10**9)
    return Outcome("tiny", 100, said, 10, seconds, int(gigabytes * 10**9))


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([make_outcome(90), make_outcome(110), make_outcome(128)], True),
        ([make_outcome(118), make_outcome(120), make_outcome(100)], False),
        ([make_outcome(100), make_outcome(100), make_outcome(131)], False),
        ([make_outcome(100), make_outcome(100, gigabytes=1.16)], False),
    ],
)
def test_estimates_hold_in_the_median_within_the_range_and_in_memory(
    outcomes: list[Outcome], expected: bool
) -> None:
    assert do_hold(outcomes) is expected


def test_the_pace_of_a_run_is_read_without_its_evaluations_and_its_first_steps() -> None:
    def point(step: int, seconds: float, validation_loss: float | None = None) -> Metric:
        return Metric(attempt=1, step=step, epoch=0, seconds=seconds, validation_loss=validation_loss)

    told = Told([point(0, 1.0, 3.0), point(1, 3.0), point(2, 4.0), point(2, 4.5, 2.5), point(3, 5.75)])
    assert told.steps == 3
    assert told.step_seconds(warm=1) == [1.0, 1.25]
    assert told.evaluation_seconds() == [1.0, 0.5]


@pytest.mark.parametrize(("losses", "expected"), [([1.9, 2.1, 2.5], False), ([2.7, 2.6, 2.1], True)])
def test_a_loss_strays_that_lies_more_than_a_spread_outside_of_the_plain_ones(
    losses: list[float], expected: bool
) -> None:
    assert strays(losses, plain=[2.0, 2.2, 2.1]) is expected


def test_the_ratio_is_that_of_the_medians() -> None:
    ours = [make_run("ours", seconds) for seconds in (1.0, 2.0, 30.0)]
    defaults = [make_run("trainer-defaults", seconds) for seconds in (6.0, 0.1, 8.0)]
    best = [make_run("trainer-best", 4.0)]
    line = render_ratios(summarize([*ours, *defaults, *best])).splitlines()[-1]
    assert [word for word in line.split(" | ") if "×" in word] == ["3.00 ×", "2.00 ×", "2.00 ×", "1.50 ×"]


def test_a_side_that_learns_something_else_is_named() -> None:
    runs = [
        make_run("ours", 1.0, 2.0),
        make_run("trainer-defaults", 1.0, 2.1),
        make_run("trl-best", 1.0, 3.0),
    ]
    assert [sentence.split(" ends")[0] for sentence in find_strayed(summarize(runs))] == [
        "tiny, lora, 1 epoch: trl-best"
    ]
