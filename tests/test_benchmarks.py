"""The benchmark still runs: ours and the plainest peer on a tiny model, and the arithmetic of its tables."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.measuring import Run
from tests.benchmarks.parity import strays
from tests.benchmarks.table import find_strayed, render_ratios, summarize

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
