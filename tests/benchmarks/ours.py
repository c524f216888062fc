"""One run of Voicewright's own trainer, ordered as the engine orders it.

Knows the trainer's order and journal. Does not know torch, nor what is measured of a process.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.contract.records import Example, Recipe
from engine.dataset import fingerprint_of, render_examples
from engine.methods import get_method
from engine.models.inspect import fingerprint, read_shape
from engine.run_files import JournalLine, Order, Result
from engine.workspace import RunFolder
from tests.benchmarks.rows import read_rows
from tests.benchmarks.task import Report, Task

_KNOB = {"lora": "rank", "last-layers": "layers", "p-tuning": "virtual_tokens"}


def build_recipe(task: Task) -> Recipe:
    """No row is held out, so nothing is evaluated and nothing stops early."""
    asked = {
        name: getattr(task, name) for name in ("method", "epochs", "batch_size", "learning_rate", "seed")
    }
    if knob := _KNOB.get(task.method):
        asked[knob] = getattr(task, knob)
    recipe = Recipe.model_validate(asked)
    return get_method(recipe.method).build_recipe(recipe, task.examples, read_shape(Path(task.model)))


def order_run(task: Task) -> RunFolder:
    """The run's folder, ready for the trainer's process; the artefact will be where the task wants it."""
    folder = RunFolder(Path(task.output).parent)
    examples = [Example(prompt=row.prompt, completion=row.completion) for row in read_rows(Path(task.rows))]
    write_order(folder, Path(task.model), build_recipe(task), examples)
    return folder


def write_order(folder: RunFolder, model: Path, recipe: Recipe, examples: Sequence[Example]) -> None:
    """Into the run's folder, the examples with it."""
    lines = render_examples(examples)
    dataset = folder.root / "examples.jsonl"
    dataset.write_bytes(lines)
    order = Order(
        run_id=folder.root.name,
        attempt=1,
        recipe=recipe,
        base_model_folder=model,
        base_model_fingerprint=fingerprint(model),
        dataset_file=dataset,
        dataset_fingerprint=fingerprint_of(lines),
    )
    folder.order.write_text(order.model_dump_json(), "utf-8")


def read_run(folder: RunFolder) -> Report:
    """From the trainer's journal: the training phase begins, and the last step is told."""
    result = Result.model_validate_json(folder.result.read_bytes())
    if result.outcome != "succeeded":
        raise RuntimeError(f"the run ended as {result.outcome}: {result.failure}")
    lines = [
        JournalLine.model_validate_json(line)
        for line in folder.journal.read_text("utf-8").splitlines()
        if line
    ]
    begun = next(line.at for line in lines if line.phase == "training")
    return Report(begun, max(line.at for line in lines if line.metric), result.steps)
