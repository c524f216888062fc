"""How near Voicewright comes to what this machine can do: counted work against measured matrix products.

    python -m tests.benchmarks.limit --model 17M --methods lora all-layers --rows 192

The limit is what products of exactly the model's shapes reach in bf16 or in fp32, whichever is faster here,
body and head apart, before and after the runs. The work is what `engine/methods/flops.py` counts for the real
tokens alone: padding, everything element by element and the optimizer are losses here. A method that saves
work it is counted for, as a cache of activations does, may come to more than 100 %.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

import torch

from engine.device import DTYPES
from engine.machine import Precision
from engine.methods import get_method
from engine.models.inspect import ModelShape, read_shape
from tests.benchmarks.compare import BATCH_SIZE, Plan, build_parser, build_task, compare, lay_out
from tests.benchmarks.materials import model_folder, rows_file
from tests.benchmarks.measuring import Run, SideError
from tests.benchmarks.ours import build_recipe
from tests.benchmarks.rows import Row, read_rows
from tests.benchmarks.sides import OURS
from tests.benchmarks.table import name_cell, render_table
from tests.benchmarks.task import Task

PROBE_SECONDS = 0.5
"""For each shape; the fastest product counts."""
MEAN_TOKENS, LEARNT_SHARE = 135, 0.7


@dataclass(frozen=True)
class Limit:
    """Operations per second of products in one number format."""

    precision: str
    body: float
    head: float


@dataclass(frozen=True)
class Counted:
    """Operations of one training on real tokens."""

    body: float
    head: float

    def seconds_at(self, limit: Limit) -> float:
        return self.body / limit.body + self.head / limit.head


def probe_limit(shape: ModelShape) -> Limit:
    """In the faster number format."""
    return max((probe_format(shape, precision) for precision in DTYPES), key=lambda limit: limit.body)


def probe_format(shape: ModelShape, precision: Precision) -> Limit:
    """Of one batch through all linear maps of a layer, and through the head at the tokens that are learnt."""
    tokens, dtype = BATCH_SIZE * MEAN_TOKENS, DTYPES[precision]
    maps = list(shape.projections.values())
    seconds = sum(time_product(dtype, tokens, inputs, outputs) for inputs, outputs in maps)
    body = sum(2 * tokens * inputs * outputs for inputs, outputs in maps) / seconds
    learnt = int(LEARNT_SHARE * tokens)
    head_seconds = time_product(dtype, learnt, shape.hidden_size, shape.vocabulary)
    return Limit(precision, body, 2 * learnt * shape.head_parameters / head_seconds)


def time_product(dtype: torch.dtype, rows: int, inputs: int, outputs: int) -> float:
    """Whichever way round is faster."""
    left = torch.randn(rows, inputs, dtype=dtype)
    right = torch.randn(outputs, inputs, dtype=dtype).t()
    # Memory that is touched for the first time is slow, and no limit of the processor's.
    product = torch.empty(rows, outputs, dtype=dtype)
    ways = [(left, right, product), (right.t(), left.t(), product.view(outputs, rows))]
    least = float("inf")
    until = time.perf_counter() + PROBE_SECONDS
    while time.perf_counter() < until:
        for first, second, out in ways:
            begun = time.perf_counter()
            torch.mm(first, second, out=out)
            least = min(least, time.perf_counter() - begun)
    return least


def count(shape: ModelShape, rows: list[Row], task: Task) -> Counted:
    """The head apart, since its products run at another pace."""
    recipe = build_recipe(task)
    flops = get_method(recipe.method).count_flops(shape, recipe)
    learnt = [sum(row.learnt) for row in rows]
    body = sum(flops.training(len(row.input_ids), 0) for row in rows) * task.epochs
    head = sum(learnt) * (flops.head_forward + flops.head_backward) * task.epochs
    return Counted(body + flops.per_step * task.steps, head)


def best(one: Limit, other: Limit) -> Limit:
    return Limit(one.precision, max(one.body, other.body), max(one.head, other.head))


def measured(run: Run | SideError) -> Run:
    if isinstance(run, SideError):
        raise run
    return run


def render(runs: list[Run], folder: Path, shape: ModelShape, limit: Limit) -> str:
    """The limit in words, and a line for each method."""
    body, head = (f"{rate / 1e9:,.0f} GFLOP/s" for rate in (limit.body, limit.head))
    rates = f"{limit.precision} products: body {body}, head {head}"
    titles = ("model, method", "GFLOP counted", "s at the limit", "s measured (median)", "share of the limit")
    rows, lines = read_rows(rows_file(folder)), []
    for cell, group in groupby(runs, key=lambda run: (run.model, run.method, run.epochs)):
        task = build_task(folder, cell[1], cell[2], len(rows))
        counted, seconds = count(shape, rows, task), median(run.seconds for run in group)
        floor = counted.seconds_at(limit)
        work = f"{(counted.body + counted.head) / 1e9:,.0f}"
        lines.append([name_cell(cell), work, f"{floor:.1f}", f"{seconds:.1f}", f"{floor / seconds:.0%}"])
    return f"{rates}\n\n{render_table(titles, lines)}"


def main() -> int:
    parser = build_parser("limit", __doc__ or "")
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plan = Plan(
        options.model, options.methods, options.rows, options.rounds, [OURS], {"ours": sys.executable}
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lay_out(plan, folder)
        shape = read_shape(model_folder(folder))
        before = probe_limit(shape)
        runs = [measured(run) for run in compare(plan, folder)]
        limit = best(before, probe_limit(shape))
        print(render(runs, folder, shape, limit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
