"""Whether time and memory come out as they were said beforehand, on this machine as the engine measured it.

    python -m tests.benchmarks.estimates --model smollm2-135m-size --methods lora all-layers:3 \\
        --rows 100 500 2000 --most-steps 20

A trainer that stood ready takes each run, as the engine has it. A longer one is told to stop after so many
steps, and what it left out is added at the pace of what it did. Ends with an error where the times lie off by
more than 15 % in the median, more than one in ten outside of its range, or a peak of memory off by more than
15 %. Run it on a machine that does nothing else.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import mean, median
from uuid import uuid4

from engine.calibration import Calibration, find_calibration
from engine.contract.records import Estimate, Example, Metric, Recipe, Settings
from engine.estimates import estimate_run
from engine.machine import read_machine
from engine.methods import get_method
from engine.models.inspect import fingerprint, read_shape
from engine.processes import Child, take_lock
from engine.run_files import JournalLine, Result
from engine.schedule import evaluation_steps
from engine.standby import Standby
from engine.token_counts import count_tokens
from engine.trainer import READY
from engine.work import TokenLengths
from engine.workspace import RunFolder, Workspace
from studio.split import assign_split
from tests.benchmarks.compare import build_parser, call_module
from tests.benchmarks.materials import model_folder, rows_file
from tests.benchmarks.measuring import SideError
from tests.benchmarks.ours import write_order
from tests.benchmarks.rows import read_rows
from tests.benchmarks.table import gigabytes, name_cell, render_table

MOST_OFF = 0.15
LEAST_INSIDE = 0.9
GET_READY_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """What was said of a run, and what came."""

    model: str
    rows: int
    estimate: Estimate
    steps: int
    """Taken; fewer than were planned if it was cut short."""
    seconds: float
    """Of the whole run, added up if it was cut short."""
    peak_bytes: int

    @property
    def time_ratio(self) -> float:
        return self.seconds / self.estimate.seconds

    @property
    def memory_ratio(self) -> float:
        return self.peak_bytes / self.estimate.peak_memory_bytes

    @property
    def is_inside(self) -> bool:
        low, high = self.estimate.seconds_range
        return low <= self.seconds <= high


@dataclass(frozen=True)
class Told:
    """The journal of one run so far."""

    metrics: list[Metric]

    @classmethod
    def read(cls, folder: RunFolder) -> "Told":
        # The last line may not be whole yet.
        whole = folder.journal.read_text("utf-8").splitlines(keepends=True) if folder.journal.exists() else []
        lines = [JournalLine.model_validate_json(line) for line in whole if line.endswith("\n")]
        return cls([line.metric for line in lines if line.metric])

    @property
    def steps(self) -> int:
        return max((metric.step for metric in self.metrics), default=0)

    def step_seconds(self, warm: int) -> list[float]:
        """Of every step after the first `warm` ones, checkpoints with them."""
        return [
            later.seconds - before.seconds
            for before, later in pairwise(self.metrics)
            if later.validation_loss is None and later.step > warm
        ]

    def evaluation_seconds(self) -> list[float]:
        """The one of the base is the first."""
        starts = [0.0, *(metric.seconds for metric in self.metrics)]
        return [
            metric.seconds - before
            for before, metric in zip(starts, self.metrics, strict=False)
            if metric.validation_loss is not None
        ]


def calibrate(workspace: Workspace, model: Path) -> Calibration:
    mark = fingerprint(model)
    arguments = ("--workspace", str(workspace.root), "--model-folder", str(model), "--fingerprint", mark)
    call_module("engine.calibration", *arguments)
    found = find_calibration(workspace.calibrations / f"{mark}.json", read_machine(workspace, False))
    if found is None:
        raise SideError("the machine was not measured")
    return found


def foretell(
    workspace: Workspace, model: Path, calibration: Calibration, recipe: Recipe, examples: list[Example]
) -> Estimate:
    lengths = TokenLengths.from_counts(count_tokens(model, examples), [example.split for example in examples])
    machine = read_machine(workspace, calibrated=True)
    return estimate_run(read_shape(model), recipe, lengths, calibration, Settings(), machine, [])


def train(workspace: Workspace, folder: RunFolder, most_steps: int) -> Result:
    """By a trainer that stood ready, which is told to stop after `most_steps`."""
    standby = Standby(workspace, quiet_seconds=0.0)
    standby.tick(idle=True)
    deadline = time.monotonic() + GET_READY_SECONDS
    while not workspace.trainer_log.read_text("utf-8").endswith(f"{READY}\n"):
        if time.monotonic() > deadline:
            raise SideError("no trainer got ready")
        time.sleep(0.1)
    lock = take_lock(folder.lock)
    if lock is None:
        raise SideError("the run is locked")
    follow(standby.train(folder, lock), folder, most_steps)
    result = Result.model_validate_json(folder.result.read_bytes())
    if result.outcome != "succeeded":
        raise SideError(f"the run ended as {result.outcome}: {result.failure}")
    return result


def follow(child: Child, folder: RunFolder, most_steps: int) -> None:
    told = False
    while child.poll() is None:
        if not told and Told.read(folder).steps >= most_steps:
            told = child.send("stop")
        time.sleep(0.05)


def measure(
    workspace: Workspace,
    model: Path,
    calibration: Calibration,
    recipe: Recipe,
    examples: list[Example],
    most_steps: int,
) -> tuple[Estimate, Result, float]:
    """What was said, how it ended, and the seconds of the whole run."""
    estimate = foretell(workspace, model, calibration, recipe, examples)
    epochs = estimate.recipe.epochs or 1
    # In the first epoch frozen layers are run that later ones are spared.
    keeps = get_method(recipe.method).count_flops(read_shape(model), estimate.recipe).frozen_share
    warm = estimate.steps // epochs if keeps and epochs > 1 else 1
    may_be_cut = not keeps or epochs > 1
    folder = workspace.run(uuid4().hex)
    folder.root.mkdir(parents=True)
    write_order(folder, model, estimate.recipe, examples)
    result = train(workspace, folder, warm + most_steps if may_be_cut else estimate.steps)
    left = estimate.steps - result.steps
    if not left:
        return estimate, result, result.seconds
    told = Told.read(folder)
    evaluations = told.evaluation_seconds()[1:]
    evaluations_left = max(0, len(evaluation_steps(estimate.steps, epochs)) - len(evaluations))
    added = left * mean(told.step_seconds(warm)) + evaluations_left * mean(evaluations)
    return estimate, result, result.seconds + added


def render(outcomes: list[Outcome]) -> str:
    titles = ("model, method", "rows", "steps (taken)", "said, s", "came, s", "ratio", "memory", "ratio")
    lines = []
    for outcome in outcomes:
        estimate = outcome.estimate
        low, high = estimate.seconds_range
        said = f"{estimate.seconds:.0f} ({low:.0f} to {high:.0f})"
        lines.append(
            [
                name_cell((outcome.model, estimate.method, estimate.recipe.epochs or 1)),
                str(outcome.rows),
                f"{estimate.steps} ({outcome.steps})",
                said,
                f"{outcome.seconds:.0f}" + ("" if outcome.is_inside else " (outside)"),
                f"{outcome.time_ratio:.2f}",
                f"{gigabytes(estimate.peak_memory_bytes)}, {gigabytes(outcome.peak_bytes)}",
                f"{outcome.memory_ratio:.2f}",
            ]
        )
    return f"{render_table(titles, lines)}\n\n{summarize(outcomes)}"


def time_off(outcomes: list[Outcome]) -> float:
    """The median distance of the time from what was said, as a share."""
    return median(abs(outcome.time_ratio - 1) for outcome in outcomes)


def summarize(outcomes: list[Outcome]) -> str:
    inside = sum(outcome.is_inside for outcome in outcomes)
    memory = sorted(outcome.memory_ratio for outcome in outcomes)
    return (
        f"Time off by {time_off(outcomes):.1%} in the median, {inside} of {len(outcomes)} inside the range; "
        f"memory {memory[0]:.2f} to {memory[-1]:.2f} of what was said."
    )


def do_hold(outcomes: list[Outcome]) -> bool:
    inside = sum(outcome.is_inside for outcome in outcomes)
    memory_holds = all(abs(outcome.memory_ratio - 1) <= MOST_OFF for outcome in outcomes)
    return time_off(outcomes) <= MOST_OFF and inside >= LEAST_INSIDE * len(outcomes) and memory_holds


def main() -> int:
    parser = build_parser("estimates", __doc__ or "")
    parser.add_argument("--rows", type=int, nargs="+", default=[100])
    parser.add_argument("--most-steps", type=int, default=20)
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, workspace = Path(scratch), Workspace(Path(scratch) / "workspace")
        workspace.create()
        call_module("tests.benchmarks.materials", scratch, options.model, str(max(options.rows)))
        model = model_folder(folder)
        calibration = calibrate(workspace, model)
        rows = read_rows(rows_file(folder))
        for count, (method, epochs) in product(options.rows, options.methods):
            examples = assign_split(
                [Example(prompt=row.prompt, completion=row.completion) for row in rows[:count]]
            )
            recipe = Recipe(method=method, epochs=epochs, early_stopping=False)
            estimate, result, seconds = measure(
                workspace, model, calibration, recipe, examples, options.most_steps
            )
            outcomes.append(
                Outcome(options.model, count, estimate, result.steps, seconds, result.peak_memory_bytes)
            )
            print(render(outcomes[-1:]).splitlines()[2], file=sys.stderr, flush=True)
    print(render(outcomes))
    return int(not do_hold(outcomes))


if __name__ == "__main__":
    sys.exit(main())
