"""The rows of the benchmark: real text of the sample voice, joined to about 135 tokens, 70 % completion.

Encoded once, by the product's own function, so that every side learns exactly the same tokens. Knows the
sample and the encoding. Does not know models or sides.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.encoding import encode_example
from engine.workspace import ASSETS

SAMPLE = ASSETS / "samples" / "outdoor_shop_voice.csv"
MAX_TOKENS = 512


@dataclass(frozen=True)
class Row:
    prompt: str
    completion: str
    input_ids: list[int]
    learnt: list[bool]


def read_sample() -> list[tuple[str, str]]:
    """(prompt, text) of every example of the sample voice."""
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        return [(row["Prompt"], row["Text"]) for row in csv.DictReader(lines)]


def make_rows(tokenizer: Any, count: int) -> list[Row]:
    """Each text with the beginning of another, which is a different one in every pass over the sample."""
    sample = read_sample()
    pairs = []
    for number in range(count):
        turn, place = divmod(number, len(sample))
        prompt, text = sample[place]
        other_prompt, other_text = sample[(place + turn + 1) % len(sample)]
        product = " ".join(other_prompt.split()[-4:])
        opening = other_text[: 1 + other_text.find(".", len(other_text) // 4)]
        pairs.append((f"{prompt} Then: {product}", f"{text} {opening}"))
    return [encode(tokenizer, *pair) for pair in pairs]


def encode(tokenizer: Any, prompt: str, completion: str) -> Row:
    encoded = encode_example(tokenizer, prompt, completion, MAX_TOKENS)
    return Row(prompt, completion, encoded.input_ids, encoded.learnt)


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    file.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), "utf-8")


def read_rows(file: Path) -> list[Row]:
    with file.open(encoding="utf-8") as lines:
        return [Row(**json.loads(line)) for line in lines]
