"""Voicewright beside its peers: the same model, rows, steps and learning, in turns, as a Markdown table.

    python -m tests.benchmarks.compare --model 17M --methods lora all-layers last-layers:3 \\
        --rows 192 --rounds 5 --trl-python trl/bin/python --factory-python factory/bin/python

Ends with an error if a side fails, or if what it learnt differs from what the others learnt. `sides.py` says
who the sides are and how their environments are made. With `--keep FILE` every run is a JSON line in FILE;
`--show FILE` prints the tables of such a file. Run it on a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree

from engine.contract.records import Recipe
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.processes import SOURCE_ROOT
from tests.benchmarks.materials import model_folder, rows_file
from tests.benchmarks.measuring import Run, SideError, run_side
from tests.benchmarks.shapes import SHAPES
from tests.benchmarks.sides import ALL_METHODS, SIDES, our_environment
from tests.benchmarks.table import find_strayed, render_ratios, render_sides, summarize
from tests.benchmarks.task import Task

CELLS = [("all-layers", 1), ("lora", 1), ("p-tuning", 1), ("last-layers", 3), ("last-layers", 10)]
BATCH_SIZE = 8


@dataclass(frozen=True)
class Plan:
    """What one call of the command compares."""

    model: str
    cells: list[tuple[str, int]]
    """(method, epochs)."""
    rows: int
    rounds: int
    sides: list[str]
    pythons: dict[str, str]
    """For each environment of `sides.py`, its interpreter."""


def lay_out(plan: Plan, folder: Path) -> None:
    """Model and rows, without which nothing can be compared."""
    call_module("tests.benchmarks.materials", str(folder), plan.model, str(plan.rows))


def compare(plan: Plan, folder: Path) -> Iterator[Run | SideError]:
    """Every run as it ends; each round begins with another side."""
    for method, epochs in plan.cells:
        names = [name for name in plan.sides if method in SIDES[name].methods]
        for number in range(plan.rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                task = build_task(folder, method, epochs, plan.rows)
                try:
                    yield measure(name, plan, task, judged=number == 0)
                except SideError as error:
                    yield SideError(f"{name}, {method}: {error}")
                finally:
                    rmtree(Path(task.output).parent, ignore_errors=True)


def build_task(folder: Path, method: str, epochs: int, rows: int) -> Task:
    """At the method's own learning rate; the folder of the run must not be there yet."""
    recipe = get_method(method).build_recipe(Recipe(method=method), rows, read_shape(model_folder(folder)))
    return Task(
        model=str(model_folder(folder)),
        rows=str(rows_file(folder)),
        output=str(folder / "run" / "artefact"),
        method=method,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=recipe.learning_rate or 1e-3,
        examples=rows,
    )


def measure(name: str, plan: Plan, task: Task, judged: bool) -> Run:
    run = run_side(name, plan.pythons[SIDES[name].python], plan.model, task)
    if not judged:
        return run
    file = Path(task.output).with_name("judged.json")
    task.write(file)
    return replace(run, loss=float(call_module("tests.benchmarks.judge", str(file), task.output)))


def call_module(module: str, *arguments: str) -> str:
    """Run a module of the benchmark in our own environment; what it printed."""
    called = [sys.executable, "-P", "-m", module, *arguments]
    done = subprocess.run(
        called, env=our_environment(), cwd=SOURCE_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SideError(f"{module}: {done.stderr[-2000:]}")
    return done.stdout


# --- the command -------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.show:
        return show([Run(**json.loads(line)) for line in options.show.read_text("utf-8").splitlines()])
    plan, runs, failed = read_plan(options), [], False
    with tempfile.TemporaryDirectory() as scratch:
        lay_out(plan, Path(scratch))
        for run in compare(plan, Path(scratch)):
            if isinstance(run, SideError):
                failed = True
                print(run, file=sys.stderr, flush=True)
                continue
            runs.append(run)
            keep(run, options.keep)
    return show(runs) or int(failed)


def show(runs: Sequence[Run]) -> int:
    """Print the tables; 1 if a side has learnt something else than the others."""
    cells = summarize(runs)
    print(render_ratios(cells), render_sides(cells), sep="\n\n")
    strayed = find_strayed(cells)
    for sentence in strayed:
        print(sentence, file=sys.stderr)
    return int(bool(strayed))


def keep(run: Run, file: Path | None) -> None:
    line = json.dumps(asdict(run))
    print(line, file=sys.stderr, flush=True)
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = build_parser("compare", __doc__ or "")
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=None, help="default: all that can run")
    parser.add_argument("--trl-python", help="interpreter of an environment with TRL")
    parser.add_argument("--factory-python", help="interpreter of an environment with LLaMA-Factory")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append every run to it")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing, print what was kept")
    return parser.parse_args(arguments)


def build_parser(command: str, words: str) -> argparse.ArgumentParser:
    """Which model learns what; `words` are the command's own docstring."""
    description, _, epilog = words.partition("\n")
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.{command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", choices=SHAPES, default="17M")
    parser.add_argument("--methods", nargs="+", type=read_cell, default=CELLS, metavar="METHOD[:EPOCHS]")
    return parser


def read_cell(text: str) -> tuple[str, int]:
    method, _, epochs = text.partition(":")
    if method not in ALL_METHODS:
        raise argparse.ArgumentTypeError(f"{method} is none of {', '.join(ALL_METHODS)}")
    return method, int(epochs or 1)


def read_plan(options: argparse.Namespace) -> Plan:
    found = {"ours": sys.executable, "trl": options.trl_python, "factory": options.factory_python}
    pythons = {name: str(Path(python).absolute()) for name, python in found.items() if python}
    sides = options.sides or [name for name, side in SIDES.items() if side.python in pythons]
    lacking = [name for name in sides if SIDES[name].python not in pythons]
    if lacking:
        raise SystemExit(f"no interpreter is given for: {', '.join(lacking)}")
    return Plan(
        model=options.model,
        cells=options.methods,
        rows=options.rows,
        rounds=options.rounds,
        sides=sides,
        pythons=pythons,
    )


if __name__ == "__main__":
    sys.exit(main())
