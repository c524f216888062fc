"""Whether our trainer learns what a plain loop in fp32 learns: losses on held-out text, seed by seed.

    python -m tests.benchmarks.parity --methods lora all-layers --seeds 3 --steps 300

The small model learns the sample voice without its last texts, whose loss is then measured in fp32 by
`judge.py`. The plain loop is `transformers.Trainer` with PEFT and its defaults. Ends with an error where the
middle one of our losses lies outside what the plain loop's seeds span, by more than their own width. On a
processor without bf16 that format takes ten times as long, and rounds the same.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from engine.models.load import load_tokenizer
from engine.run_files import Result
from engine.workspace import RunFolder
from tests.base_models import SMALL_MODEL
from tests.benchmarks import ours
from tests.benchmarks.compare import BATCH_SIZE, build_task, call_module, read_cell
from tests.benchmarks.materials import rows_file
from tests.benchmarks.measuring import SideError, run_process, run_side
from tests.benchmarks.rows import encode, read_sample, write_rows
from tests.benchmarks.sides import DEFAULTS, our_command, our_environment
from tests.benchmarks.table import render_table
from tests.benchmarks.task import Task

HELD_OUT = 32
PLAIN = "plain fp32"
OURS = {"ours fp32": "fp32", "ours bf16": "bf16"}


@dataclass(frozen=True)
class Material:
    """Where the rows lie that are learnt, and those that are not."""

    folder: Path
    learnt: int
    held_out: Path


def lay_out(folder: Path) -> Material:
    tokenizer = load_tokenizer(SMALL_MODEL)
    rows = [encode(tokenizer, prompt, text) for prompt, text in read_sample()]
    write_rows(rows_file(folder), rows[:-HELD_OUT])
    held_out = folder / "held_out.jsonl"
    write_rows(held_out, rows[-HELD_OUT:])
    return Material(folder, len(rows) - HELD_OUT, held_out)


def learn(arm: str, task: Task) -> None:
    """The artefact lies at `task.output` then."""
    if arm == PLAIN:
        run_side(DEFAULTS, sys.executable, "small", task)
        return
    folder = RunFolder(Path(task.output).parent)
    folder.root.mkdir(parents=True)
    ours.order_run(task)
    environment = our_environment() | {"VOICEWRIGHT_PRECISION": OURS[arm]}
    run_process(our_command(str(folder.root)), environment, folder.root / "log.txt")
    result = Result.model_validate_json(folder.result.read_bytes())
    if result.outcome != "succeeded":
        raise SideError(f"{arm} ended as {result.outcome}")


def find_losses(material: Material, method: str, arm: str, seeds: int, steps: int) -> Iterator[float]:
    """In nats per token of the held-out texts, one for each seed."""
    epochs = math.ceil(steps / math.ceil(material.learnt / BATCH_SIZE))
    for seed in range(seeds):
        with tempfile.TemporaryDirectory(dir=material.folder) as scratch:
            task = replace(
                build_task(material.folder, method, epochs, material.learnt),
                model=str(SMALL_MODEL),
                output=str(Path(scratch) / "run" / "artefact"),
                seed=seed,
            )
            learn(arm, task)
            judged = Path(scratch) / "judged.json"
            replace(task, rows=str(material.held_out)).write(judged)
            yield float(call_module("tests.benchmarks.judge", str(judged), task.output))


def strays(losses: list[float], plain: list[float]) -> bool:
    width = max(plain) - min(plain)
    return not min(plain) - width <= median(losses) <= max(plain) + width


def main() -> int:
    description, _, epilog = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.parity",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--methods", nargs="+", default=["lora", "all-layers", "p-tuning", "last-layers"])
    parser.add_argument("--arms", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    lines, strayed = [], False
    with tempfile.TemporaryDirectory() as scratch:
        material = lay_out(Path(scratch))
        for method in [read_cell(method)[0] for method in options.methods]:
            plain: list[float] = []
            for arm in [PLAIN, *options.arms]:
                losses = list(find_losses(material, method, arm, options.seeds, options.steps))
                plain = plain or losses
                strayed = strayed or strays(losses, plain)
                told = ", ".join(f"{loss:.4f}" for loss in losses)
                lines.append([method, arm, f"{median(losses):.4f}", told])
                print(lines[-1], file=sys.stderr, flush=True)
    print(render_table(("method", "loop", "median loss", "by seed"), lines))
    return int(strayed)


if __name__ == "__main__":
    sys.exit(main())
