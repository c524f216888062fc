"""How long a table takes from its bytes to all findings, with a brand's rules and without.

    pytest -m slow -s tests/studio/test_examples_speed.py

prints seconds of this process and of the clock. The texts are the sample's sentences in new orders, so that
they are real English of the usual length, and hardly any is like another.
"""

import csv
import io
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import pytest

from engine.contract.brand import Brand
from engine.contract.records import Example, TokenCounts
from engine.token_counts import count_tokens
from studio.brand_suggestions import suggest_rules
from studio.checkup import Checkup, check_up
from studio.columns import suggest_columns
from studio.examples import build_examples
from studio.sentences import split_sentences
from studio.sources import Source
from studio.window import Window
from tests.base_models import SMALL_MODEL

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
REPEATS = 3


def write_table(rows: int) -> bytes:
    """Each text has as many sentences as one of the sample, drawn from all of them."""
    with SAMPLE.open(encoding="utf-8", newline="") as stream:
        _, *sample = csv.reader(stream)
    parts = [split_sentences(text) for _, text in sample]
    sentences = [sentence for part in parts for sentence in part]
    draw = random.Random(1)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["Prompt", "Text"])
    for number in range(rows):
        text = " ".join(draw.sample(sentences, len(parts[number % len(parts)])))
        writer.writerow([f"{sample[number % len(sample)][0]} ({number})", text])
    return file.getvalue().encode()


@pytest.fixture(scope="module")
def engine() -> Iterator[Executor]:
    """Tokens are counted in a process of their own, as the engine does it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


def check(data: bytes, brand: Brand | None, engine: Executor) -> Checkup:
    def count(examples: Sequence[Example]) -> TokenCounts:
        return engine.submit(count_tokens, SMALL_MODEL, examples).result()

    table = Source("table.csv", data).read()
    examples, _ = build_examples(table, suggest_columns(table).columns)
    return check_up(examples, Window(512, count).check, brand)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rows", "seconds"), [(5_000, 2), (20_000, 6)])
@pytest.mark.parametrize("has_rules", [False, True], ids=["no rules", "with rules"])
def test_a_table_is_read_and_checked_in_the_time_that_was_promised(
    rows: int, seconds: float, has_rules: bool, engine: Executor
) -> None:
    """Measured in this process's own time, without what other programs on the machine take."""
    data = write_table(rows)
    examples = check(data, None, engine).examples
    assert len(examples) == rows
    brand = Brand(rules=suggest_rules(examples)) if has_rules else None
    used, passed = [], []
    for _ in range(REPEATS):
        start, wall = time.process_time(), time.perf_counter()
        check(data, brand, engine)
        used.append(time.process_time() - start)
        passed.append(time.perf_counter() - wall)
    rules = "with rules" if has_rules else "without rules"
    print(f"{rows:,} rows {rules}: {median(used):.1f} s of work, {median(passed):.1f} s by the clock")
    assert median(used) < seconds
