"""How fast answers are, printed: `python -m pytest tests/engine/test_answer_speed.py -m slow -s`.

The small model with LoRA. Ways alternate within each round; the figures are medians of five rounds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from engine.contract.records import Example, Side
from engine.models.inspect import fingerprint
from engine.sampling import Sampling
from engine.speaking import Speaking
from engine.tuned_model import LoadedModels, TunedModel
from tests.base_models import SMALL_MODEL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SIDES: tuple[Side, ...] = ("base", "tuned")
ROUNDS, TOKENS = 5, 24
PROMPTS = [f"Describe our {thing} for the shop in a few words, number {n}." for n in range(4)
           for thing in ("tent", "rain jacket", "lamp", "folding stove")]  # fmt: skip


@pytest.fixture(scope="module")
def artefact(chance: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chance("lora", SMALL_MODEL, tmp_path_factory.mktemp("lora") / "artefact")


# --- tokens per second --------------------------------------------------------------------------------


def one_by_one(model: TunedModel, prompts: list[str]) -> int:
    answers = [model.answer(side, prompt, Sampling(TOKENS)) for prompt in prompts for side in SIDES]
    return sum(len(decoding.token_ids) for _, decoding in answers)


def side_by_side(model: TunedModel, prompts: list[str]) -> int:
    rows = [model.start(side, prompt, Sampling(TOKENS)) for prompt in prompts for side in SIDES]
    together = model.together("base")
    together.begin(rows)
    while together.rows:
        together.advance()
    return sum(len(row.decoding.token_ids) for row in rows)


def each_side_for_itself(model: TunedModel, prompts: list[str]) -> int:
    tokens = 0
    for side in SIDES:
        rows = [model.start(side, prompt, Sampling(TOKENS)) for prompt in prompts]
        together = model.together("base")
        together.begin(rows)
        while together.rows:
            together.advance()
        tokens += sum(len(row.decoding.token_ids) for row in rows)
    return tokens


WAYS = (one_by_one, each_side_for_itself, side_by_side)


@pytest.mark.parametrize("count", [1, 8, 16])
def test_tokens_per_second(count: int, artefact: Path) -> None:
    model = TunedModel(SMALL_MODEL, artefact, is_adapter=True)
    speeds: dict[str, list[float]] = {way.__name__: [] for way in WAYS}
    side_by_side(model, PROMPTS[:2])
    for _ in range(ROUNDS):
        for way in WAYS:
            started = time.perf_counter()
            tokens = way(model, PROMPTS[:count])
            speeds[way.__name__].append(tokens / (time.perf_counter() - started))
    told = {way: round(median(values)) for way, values in speeds.items()}
    print(f"\n{count} prompts x 2 sides, {torch.get_num_threads()} threads, tokens/s: {told}")
    assert told["side_by_side"] > told["one_by_one"]


# --- the first word -----------------------------------------------------------------------------------


def ask(speaking: Speaking, artefact: Path, id: str, prompts: list[str], max_tokens: int) -> None:
    message: dict[str, Any] = {
        "id": id,
        "base_folder": str(SMALL_MODEL),
        "artefact_folder": str(artefact),
        "is_adapter": True,
        "questions": [{"prompt": prompt} for prompt in prompts],
        "max_tokens": max_tokens,
        "temperature": 0.4,
        "seed": 0,
    }
    assert speaking.ask(message) == []


def seconds_to_first_words(speaking: Speaking, artefact: Path) -> float:
    """Until both sides have said something."""
    started = time.perf_counter()
    ask(speaking, artefact, "new", PROMPTS[:1], 8)
    heard: set[Side | None] = set()
    while len(heard) < 2:
        heard |= {event.side for id, event in speaking.advance() if id == "new"}
    waited = time.perf_counter() - started
    speaking.cancel("new")
    return waited


def print_first_words(title: str, waits: list[float]) -> None:
    told = f"median {median(waits):.3f} s, longest {max(waits):.3f} s"
    print(f"\nfirst words of both sides, {title}: {told}")


def test_first_words_alone_and_beside_long_answers(artefact: Path) -> None:
    speaking = Speaking(LoadedModels())
    seconds_to_first_words(speaking, artefact)
    print_first_words("alone", [seconds_to_first_words(speaking, artefact) for _ in range(ROUNDS)])
    for count in (1, 16):
        ask(speaking, artefact, "long", PROMPTS[:count], 320)
        next(iter(speaking.advance()))
        waits = [seconds_to_first_words(speaking, artefact) for _ in range(ROUNDS)]
        print_first_words(f"beside {count} x 2 long answers", waits)
        speaking.cancel("long")


@contextmanager
def training(order_run: Callable[..., Any]) -> Iterator[None]:
    """A real run on the small model, in the middle of its steps."""
    rows = [
        Example(prompt=prompt, completion="Ahoy! " + "A good thing to sail with, says the crew. " * 6)
        for prompt in PROMPTS * 10
    ]
    run = order_run("lora", rows=rows, epochs=100, early_stopping=False)
    changes = {"base_model_folder": SMALL_MODEL, "base_model_fingerprint": fingerprint(SMALL_MODEL)}
    run.order = run.order.model_copy(update=changes)
    run.write_order()
    process = run.start()
    while not (run.folder.journal.exists() and any(line.metric for line in run.journal())):
        assert process.poll() is None, run.folder.log.read_text("utf-8")
        time.sleep(0.2)
    yield
    assert process.poll() is None
    process.kill()
    process.wait()


def test_first_words_beside_a_training(artefact: Path, order_run: Callable[..., Any]) -> None:
    speaking = Speaking(LoadedModels())
    seconds_to_first_words(speaking, artefact)
    with training(order_run):
        waits = [seconds_to_first_words(speaking, artefact) for _ in range(3 * ROUNDS)]
    print_first_words("beside a training", waits)
