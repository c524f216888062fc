"""Where the methods' defaults come from: recipes side by side on one voice, with the real trainer.

    python -m tests.benchmarks.sweep FILE.csv ... --model FOLDER

Prints nats per token of the trainer's own evaluations, for the best and in their course. No run stops early.
Knows the trainer's journal. Does not know what is measured beside it (`voices.py`).
"""

import argparse
from pathlib import Path
from typing import Any

from engine.contract.records import METHOD_NAMES, MethodName, Recipe
from engine.methods import get_method
from engine.models.bundled import bundled_folder
from engine.models.inspect import read_shape
from engine.run_files import JournalLine
from engine.workspace import RunFolder
from tests.benchmarks.voices import Voice, read_voice, tuned

GRID: dict[MethodName, tuple[dict[str, Any], ...]] = {
    "last-layers": tuple({"learning_rate": rate} for rate in (2.5e-4, 5e-4, 1e-3)),
    "all-layers": tuple({"learning_rate": rate} for rate in (5e-5, 1e-4, 2e-4)),
    "p-tuning": (
        *({"learning_rate": rate} for rate in (1e-3, 3e-3, 1e-2)),
        {"learning_rate": 3e-3, "virtual_tokens": 64},
    ),
    "lora": (
        *({"learning_rate": rate} for rate in (2.5e-4, 5e-4, 1e-3)),
        {"learning_rate": 5e-4, "rank": 8},
        {"learning_rate": 5e-4, "rank": 32},
    ),
}


def measure(voice: Voice, base: Path, recipe: Recipe) -> str:
    """One line: the recipe, and what it came to."""
    recipe = get_method(recipe.method).build_recipe(recipe, len(voice.train), read_shape(base))
    with tuned(base, voice, recipe) as (result, folder):
        curve = " ".join(f"{loss:.3f}" for loss in read_curve(folder))
    knobs = f"rate {recipe.learning_rate:g}, {recipe.epochs} epochs of batches of {recipe.batch_size}"
    return (
        f"{voice.name:24} {recipe.method:12} {knobs:45} base {result.validation_loss_base:.3f}  "
        f"best {result.validation_loss:.3f} at step {result.best_step} of {result.steps}  "
        f"{result.seconds:.0f} s  {curve}"
    )


def read_curve(folder: RunFolder) -> list[float]:
    """The validation losses in order."""
    lines = map(JournalLine.model_validate_json, folder.journal.read_text("utf-8").splitlines())
    metrics = (line.metric for line in lines if line.metric)
    return [metric.validation_loss for metric in metrics if metric.validation_loss is not None]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sweep", description=__doc__.splitlines()[0]
    )
    parser.add_argument("files", nargs="+", type=Path, help="CSV with the columns Prompt and Text")
    parser.add_argument("--model", type=Path, help="folder of the base model; that in the box without")
    parser.add_argument("--rows", type=int, default=200, help="of each file")
    parser.add_argument("--method", choices=METHOD_NAMES, action="append", help="only this one")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for voice in (read_voice(file, options.rows) for file in options.files):
        for method in options.method or METHOD_NAMES:
            for knobs in GRID[method]:
                for seed in range(options.seeds):
                    recipe = Recipe(method=method, seed=seed, early_stopping=False, **knobs)
                    print(measure(voice, options.model or bundled_folder(), recipe), flush=True)


if __name__ == "__main__":
    main()
