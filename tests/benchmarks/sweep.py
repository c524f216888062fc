"""Does a base model take on a voice? Measured on real examples with the real trainer.

    python -m tests.benchmarks.sweep FILE.csv ... --sweep                         where the defaults come from
    python -m tests.benchmarks.sweep FILE.csv --method lora --answers 0.5         ten prompts, both answers

A file has the columns Prompt and Text; every tenth row is held out. Knows the trainer's order and result, and
how to ask base and tuned model. Does not know the database or the studio.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from engine.contract.records import BALANCED_TEMPERATURE, METHOD_NAMES, Example, MethodName, Recipe
from engine.dataset import fingerprint_of, render_examples
from engine.encoding import encode_example
from engine.methods import get_method, max_example_tokens
from engine.models.inspect import fingerprint, read_shape
from engine.run_files import Order, Result
from engine.workspace import RunFolder
from tests.base_models import SMALL_MODEL
from tests.benchmarks.heldout import sample_answers, summed_nats

SHOTS = 3
SHOWN_ANSWERS = 10
GRID: dict[MethodName, tuple[dict[str, Any], ...]] = {
    "last-layers": tuple({"learning_rate": rate} for rate in (5e-4, 1e-3, 2e-3, 4e-3)),
    "all-layers": tuple({"learning_rate": rate} for rate in (2.5e-4, 5e-4, 1e-3)),
    "p-tuning": (
        *({"learning_rate": rate} for rate in (3e-3, 1e-2, 3e-2)),
        {"learning_rate": 1e-2, "virtual_tokens": 40},
    ),
    "lora": (
        *({"learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3)),
        {"learning_rate": 2e-3, "rank": 8},
        {"learning_rate": 2e-3, "rank": 32},
    ),
}


@dataclass(frozen=True)
class VoiceFigures:
    """One voice, one method. Losses are nats per token of the held-out completions."""

    voice: str
    method: MethodName
    recipe: Recipe
    examples: int
    held_out: int
    base_loss: float
    shots_loss: float
    """Of the base with three of the examples as earlier turns of the conversation."""
    loss: float
    seconds: float
    answers: tuple[tuple[str, str, str], ...] = ()
    """(held-out prompt, the base's answer, the tuned model's answer)."""


def measure_recipe(
    file: Path, base: Path, recipe: Recipe, answer: bool = False, temperature: float = BALANCED_TEMPERATURE
) -> VoiceFigures:
    """Tune as `recipe` says, then ask base and tuned model about the rows that were held out."""
    examples = read_voice(file)
    train = [example for example in examples if example.split == "train"]
    held_out = [example for example in examples if example.split == "validation"]
    recipe = get_method(recipe.method).build_recipe(recipe, len(train))
    tokenizer = AutoTokenizer.from_pretrained(base)
    window = max_example_tokens(read_shape(base).window_tokens, recipe)
    asked = [encode_example(tokenizer, one.prompt, one.completion, window, one.turns) for one in held_out]
    rows = [(one.input_ids, one.learnt) for one in asked]
    shots = [row for row in with_shots(tokenizer, train, rows) if len(row[0]) <= window]
    with tempfile.TemporaryDirectory() as scratch:
        result = tune(Path(scratch), base, examples, recipe)
        untouched = AutoModelForCausalLM.from_pretrained(base).eval()
        tuned = open_artefact(RunFolder(Path(scratch)).artefact, base, get_method(recipe.method).IS_ADAPTER)
        answers: tuple[tuple[str, str, str], ...] = ()
        if answer:
            prompts = [example.prompt for example in held_out[:SHOWN_ANSWERS]]
            told = [
                [text for text, _ in sample_answers(one, tokenizer, prompts, temperature=temperature)]
                for one in (untouched, tuned)
            ]
            answers = tuple(zip(prompts, *told, strict=True))
        return VoiceFigures(
            voice=file.stem,
            method=recipe.method,
            recipe=recipe,
            examples=len(train),
            held_out=len(held_out),
            base_loss=_loss(untouched, rows),
            shots_loss=_loss(untouched, shots),
            loss=_loss(tuned, rows),
            seconds=result.seconds,
            answers=answers,
        )


def read_voice(file: Path) -> list[Example]:
    """The rows of a CSV with the columns Prompt and Text, each completion once, every tenth held out."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False).drop_duplicates("Text")
    return [
        Example(
            prompt=prompt, completion=text, row=number + 1, split="train" if number % 10 else "validation"
        )
        for number, (prompt, text) in enumerate(zip(table["Prompt"], table["Text"], strict=True))
    ]


def tune(folder: Path, base: Path, examples: Sequence[Example], recipe: Recipe) -> Result:
    """One attempt of the trainer in its own process, with the run's files in `folder`."""
    run, lines = RunFolder(folder), render_examples(examples)
    dataset = folder / "examples.jsonl"
    dataset.write_bytes(lines)
    order = Order(
        run_id=folder.name,
        attempt=1,
        recipe=recipe,
        base_model_folder=base,
        base_model_fingerprint=fingerprint(base),
        dataset_file=dataset,
        dataset_fingerprint=fingerprint_of(lines),
    )
    run.order.write_text(order.model_dump_json())
    with run.log.open("wb") as log:
        trainer = subprocess.Popen(
            [sys.executable, "-m", "engine.training", str(folder)], stdin=subprocess.PIPE, stderr=log
        )
        trainer.wait()
    result = Result.model_validate_json(run.result.read_bytes())
    if result.outcome != "succeeded":
        raise RuntimeError(f"The run ended as {result.outcome}: {result.failure}")
    return result


def open_artefact(folder: Path, base: Path, is_adapter: bool) -> Any:
    """The tuned model, opened with stock libraries."""
    from peft import PeftModel

    if not is_adapter:
        return AutoModelForCausalLM.from_pretrained(folder).eval()
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()


def with_shots(
    tokenizer: PreTrainedTokenizerBase,
    train: Sequence[Example],
    rows: Sequence[tuple[list[int], list[bool]]],
) -> list[tuple[list[int], list[bool]]]:
    """Each row after three examples of middling length as earlier turns; only the row's answer counts.

    The begin token, with which every row starts, stays in front of all turns.
    """
    turns = [encode_example(tokenizer, one.prompt, one.completion, 10**6).input_ids[1:] for one in train]
    turns.sort(key=len)
    first = max(0, (len(turns) - SHOTS) // 2)
    shots = [token for turn in turns[first : first + SHOTS] for token in turn]
    return [
        (ids[:1] + shots + ids[1:], learnt[:1] + [False] * len(shots) + learnt[1:]) for ids, learnt in rows
    ]


def _loss(model: Any, rows: Sequence[tuple[list[int], list[bool]]]) -> float:
    return summed_nats(model, rows) / sum(sum(learnt) for _, learnt in rows)


def main(arguments: list[str] | None = None) -> None:
    """Print the figures of each file, at the defaults or over the grid."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sweep", description=__doc__.splitlines()[0]
    )
    parser.add_argument("files", nargs="+", type=Path, help="CSV with the columns Prompt and Text")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="folder of the base model")
    parser.add_argument("--method", choices=METHOD_NAMES, action="append", help="only this one")
    parser.add_argument("--sweep", action="store_true", help="the grid instead of the defaults")
    parser.add_argument(
        "--answers", type=float, metavar="TEMPERATURE", help="answer ten held-out prompts at this temperature"
    )
    options = parser.parse_args(arguments)
    for file in options.files:
        for method in options.method or METHOD_NAMES:
            for knobs in GRID[method] if options.sweep else ({},):
                one = measure_recipe(
                    file,
                    options.model,
                    Recipe(method=method, **knobs),
                    options.answers is not None,
                    options.answers or BALANCED_TEMPERATURE,
                )
                losses = f"base {one.base_loss:.3f}  3 examples {one.shots_loss:.3f}  tuned {one.loss:.3f}"
                plan = f"{one.recipe.epochs} epochs of batches of {one.recipe.batch_size}"
                settings = f"{one.voice:24} {method:12} {knobs or 'defaults'!s:45}"
                print(f"{settings} {losses}  {plan}  {one.seconds:.0f} s", flush=True)
                for prompt, untouched, tuned in one.answers:
                    print(f"\n> {prompt}\n\nuntouched: {untouched}\n\ntuned:     {tuned}")


if __name__ == "__main__":
    main()
