"""Does a base model take on a voice? Four methods on three voices, at the defaults, with the real trainer.

    python -m tests.benchmarks.voices                            the table of a model's card
    python -m tests.benchmarks.voices --answers 20               and held-out prompts, answered by both sides

A voice is a CSV with the columns Prompt and Text; every tenth row is held out. Figures are bits per byte of
the held-out texts, in fp32, of the artefact as it was saved and opened again with stock libraries. Knows the
trainer's order and result. Does not know the database or the studio.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from engine.batches import make_batch, plan_evaluation
from engine.brief import compose_brief
from engine.contract.brand import BrandRules
from engine.contract.records import METHOD_NAMES, Example, MethodName, Recipe, Turn
from engine.dataset import fingerprint_of, render_examples
from engine.device import detect_device
from engine.encoding import Encoded, encode_example
from engine.evaluation import CompletionLoss, validation_loss
from engine.methods import get_method, max_example_tokens
from engine.models.bundled import bundled_folder
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_base, load_tokenizer
from engine.run_files import Order, Result
from engine.workspace import RunFolder
from tests.benchmarks.heldout import sample_answers

SHOTS = 3
ROOT = Path(__file__).parents[2]
VOICES = (
    ROOT / "assets" / "samples" / "outdoor_shop_voice.csv",
    ROOT / "tests" / "studio" / "voices" / "sardonic_dictionary.csv",
    Path(__file__).parent / "data" / "help_desk.csv",
)


@dataclass(frozen=True)
class Voice:
    name: str
    train: list[Example]
    held_out: list[Example]

    @property
    def bytes(self) -> int:
        """Of the held-out texts in UTF-8."""
        return sum(len(example.completion.encode()) for example in self.held_out)


@dataclass(frozen=True)
class Untouched:
    """What the base makes of a voice, in bits per byte of its held-out texts."""

    voice: str
    examples: int
    held_out: int
    alone: float
    with_shots: float
    """With three of the examples as earlier turns of the conversation."""


@dataclass(frozen=True)
class Tuned:
    """What one method makes of a voice at one recipe."""

    voice: str
    method: MethodName
    learning_rate: float
    epochs: int
    seed: int
    bits_per_byte: float
    trainers_nats: float
    """Per token, as the trainer had it of the weights before they were stored."""
    stored_nats: float
    best_step: int
    steps: int
    seconds: float
    peak_bytes: int


# --- voices -------------------------------------------------------------------------------------------


def read_voice(file: Path, rows: int | None = None) -> Voice:
    """The first rows of a CSV with the columns Prompt and Text, each text once, every tenth held out."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False).drop_duplicates("Text")[:rows]
    examples = [
        Example(
            prompt=prompt, completion=text, row=number + 1, split="train" if number % 10 else "validation"
        )
        for number, (prompt, text) in enumerate(zip(table["Prompt"], table["Text"], strict=True))
    ]
    train = [example for example in examples if example.split == "train"]
    return Voice(file.stem, train, [example for example in examples if example.split == "validation"])


def choose_shots(train: Sequence[Example]) -> list[Turn]:
    """Three examples of middling length as the turns of a conversation."""
    ordered = sorted(train, key=lambda one: len(one.prompt) + len(one.completion))
    first = max(0, (len(ordered) - SHOTS) // 2)
    return [
        turn
        for one in ordered[first : first + SHOTS]
        for turn in (Turn(role="user", text=one.prompt), Turn(role="assistant", text=one.completion))
    ]


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Iterable[Example], turns: Sequence[Turn], window: int
) -> list[Encoded]:
    return [encode_example(tokenizer, one.prompt, one.completion, window, turns) for one in examples]


# --- losses -------------------------------------------------------------------------------------------


def summed_nats(model: Any, rows: Sequence[Encoded]) -> float:
    """Of the learnt tokens, in fp32."""
    columns = {"input_ids": [row.input_ids for row in rows], "learnt": [row.learnt for row in rows]}
    data = Dataset.from_dict(columns).with_format("numpy")
    loss = CompletionLoss(model.requires_grad_(False), detect_device(), "fp32")
    batches = (make_batch(data, batch, 0) for batch in plan_evaluation(data, list(range(len(rows)))))
    return (validation_loss(loss, batches) or math.nan) * learnt_tokens(rows)


def learnt_tokens(rows: Iterable[Encoded]) -> int:
    # The first token of a row is never predicted.
    return sum(sum(row.learnt[1:]) for row in rows)


def bits_per_byte(nats: float, voice: Voice) -> float:
    return nats / math.log(2) / voice.bytes


def measure_base(base: Path, voice: Voice) -> Untouched:
    tokenizer, window = load_tokenizer(base), read_shape(base).window_tokens
    model = load_base(base)
    alone, with_shots = (
        bits_per_byte(summed_nats(model, encode(tokenizer, voice.held_out, turns, window)), voice)
        for turns in ([], choose_shots(voice.train))
    )
    return Untouched(voice.name, len(voice.train), len(voice.held_out), alone, with_shots)


def measure_recipe(base: Path, voice: Voice, recipe: Recipe) -> Tuned:
    """Tune as `recipe` says, then open what was stored and ask it about the rows that were held out."""
    shape = read_shape(base)
    recipe = get_method(recipe.method).build_recipe(recipe, len(voice.train), shape)
    rows = encode(load_tokenizer(base), voice.held_out, [], max_example_tokens(shape.window_tokens, recipe))
    with tuned(base, voice, recipe) as (result, folder):
        nats = summed_nats(open_artefact(folder.artefact, base), rows)
    return Tuned(
        voice=voice.name,
        method=recipe.method,
        learning_rate=recipe.learning_rate or 0.0,
        epochs=recipe.epochs or 0,
        seed=recipe.seed,
        bits_per_byte=bits_per_byte(nats, voice),
        trainers_nats=result.validation_loss or math.nan,
        stored_nats=nats / learnt_tokens(rows),
        best_step=result.best_step or 0,
        steps=result.steps,
        seconds=result.seconds,
        peak_bytes=result.peak_memory_bytes,
    )


# --- tuning -------------------------------------------------------------------------------------------


@contextmanager
def tuned(base: Path, voice: Voice, recipe: Recipe) -> Iterator[tuple[Result, RunFolder]]:
    """One attempt of the trainer in its own process; its folder is gone afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        lines = render_examples([*voice.train, *voice.held_out])
        dataset = folder.root / "examples.jsonl"
        dataset.write_bytes(lines)
        order = Order(
            run_id=folder.root.name,
            attempt=1,
            recipe=recipe,
            base_model_folder=base,
            base_model_fingerprint=fingerprint(base),
            dataset_file=dataset,
            dataset_fingerprint=fingerprint_of(lines),
            brief=compose_brief(BrandRules()),
        )
        folder.order.write_text(order.model_dump_json())
        yield train(folder), folder


def train(folder: RunFolder) -> Result:
    """Raises RuntimeError if the run does not succeed."""
    with folder.log.open("wb") as log:
        command = [sys.executable, "-m", "engine.training", str(folder.root)]
        trainer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        trainer.wait()
    result = Result.model_validate_json(folder.result.read_bytes())
    if result.outcome != "succeeded":
        raise RuntimeError(f"The run ended as {result.outcome}: {result.failure}")
    return result


def open_artefact(artefact: Path, base: Path) -> Any:
    """The tuned model, opened with stock libraries."""
    if not (artefact / "adapter_config.json").exists():
        return load_base(artefact).eval()
    return PeftModel.from_pretrained(load_base(base), artefact).eval()


# --- Markdown -----------------------------------------------------------------------------------------


HEAD = (
    "| voice | examples | untouched | 3 examples in its prompt | method | tuned | best step | seconds | GB |",
    "|---|---|---|---|---|---|---|---|---|",
)


def render_rows(base: Untouched, tunings: Sequence[Tuned]) -> list[str]:
    """Of one voice."""
    examples = f"{base.examples} + {base.held_out} held out"
    voice = f"| {base.voice} | {examples} | {base.alone:.3f} | {base.with_shots:.3f} "
    return [
        f"{voice}| {one.method} | {one.bits_per_byte:.3f} | {one.best_step} of {one.steps} "
        f"| {one.seconds:.0f} | {one.peak_bytes / 1e9:.1f} |"
        for one in tunings
    ]


def render_answers(base: Path, voice: Voice, recipe: Recipe, count: int) -> str:
    """The first held-out prompts, answered before and after tuning."""
    tokenizer = load_tokenizer(base)
    recipe = get_method(recipe.method).build_recipe(recipe, len(voice.train), read_shape(base))
    prompts = [example.prompt for example in voice.held_out[:count]]
    with tuned(base, voice, recipe) as (_, folder):
        models = (load_base(base).eval(), open_artefact(folder.artefact, base))
        before, after = (sample_answers(model, tokenizer, prompts) for model in models)
    return "\n\n".join(
        f"> {prompt}\n\n*untouched:* {_quote(untouched)}\n\n*{recipe.method}:* {_quote(tuned_answer)}"
        for prompt, untouched, tuned_answer in zip(prompts, before, after, strict=True)
    )


def _quote(answer: tuple[str, bool]) -> str:
    text, ended = answer
    return " ".join(text.split()) + ("" if ended else " […]")


# --- the command --------------------------------------------------------------------------------------


class Kept:
    """Figures in a file, one JSON object a line, so that a long measurement can go on where it was left."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        lines = file.read_text("utf-8").splitlines() if file and file.exists() else []
        self._known: dict[str, Any] = dict(json.loads(line) for line in lines)

    def get(self, key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if key not in self._known:
            self._known[key] = measure()
            if self._file:
                with self._file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.voices", description=__doc__.splitlines()[0]
    )
    parser.add_argument("files", nargs="*", type=Path, default=VOICES, help="CSV: Prompt and Text")
    parser.add_argument("--model", type=Path, help="folder of the base model; that in the box without")
    parser.add_argument("--rows", type=int, default=200, help="of each file")
    parser.add_argument("--method", choices=METHOD_NAMES, action="append", help="only this one")
    parser.add_argument("--answers", type=int, default=0, help="so many held-out prompts of the first file")
    parser.add_argument("--keep", type=Path, help="file of figures to go on from")
    options = parser.parse_args(arguments)
    base, kept = options.model or bundled_folder(), Kept(options.keep)
    print("\n".join(HEAD))
    for file in options.files:
        voice = read_voice(file, options.rows)
        untouched = kept.get(voice.name, lambda voice=voice: asdict(measure_base(base, voice)))
        tunings = [
            kept.get(
                f"{voice.name} {method}",
                lambda voice=voice, method=method: asdict(measure_recipe(base, voice, Recipe(method=method))),
            )
            for method in options.method or METHOD_NAMES
        ]
        print("\n".join(render_rows(Untouched(**untouched), [Tuned(**one) for one in tunings])), flush=True)
    if options.answers:
        print()
        voice = read_voice(options.files[0], options.rows)
        print(render_answers(base, voice, Recipe(method="lora"), options.answers))


if __name__ == "__main__":
    main()
