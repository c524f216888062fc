"""Which prompts to compare on, which examples to show a model, and what creativity and length mean as
settings of an answer.

Does not know answers, models or how two texts are shown.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.contract.records import BALANCED_TEMPERATURE, Example, Turn

_Value = TypeVar("_Value", int, float)


@dataclass(frozen=True)
class Choice(Generic[_Value]):
    """One stop of a setting; `value` is what an AnswerRequest takes."""

    name: str
    label: str
    value: _Value
    explanation: str


CREATIVITY: tuple[Choice[float], ...] = (
    Choice("careful", "Careful", 0.2, "Keeps to the likeliest words: even and predictable."),
    Choice("balanced", "Balanced", BALANCED_TEMPERATURE, "Some variety, few slips."),
    Choice("bold", "Bold", 0.8, "Unexpected words, and now and then a slip."),
)
# Three quarters of a word per token: about 45, 120 and 240 words.
LENGTH: tuple[Choice[int], ...] = (
    Choice("short", "Short", 60, "A few sentences, up to about 45 words."),
    Choice("medium", "Medium", 160, "A paragraph, up to about 120 words."),
    Choice("long", "Long", 320, "Several paragraphs, up to about 240 words."),
)
DEFAULT_CREATIVITY = CREATIVITY[1]
DEFAULT_LENGTH = LENGTH[1]


def pick_prompts(examples: Sequence[Example], count: int = 3) -> list[Example]:
    """Held-out examples to compare on, from a short prompt to a long one; equal examples give equal picks.

    Without any held out (a table of very few rows), examples to learn from stand in.
    """
    held_out = [example for example in examples if example.split == "validation"]
    different = {" ".join(example.prompt.casefold().split()): example for example in held_out or examples}
    ordered = sorted(different.values(), key=lambda example: (len(example.prompt), _hash(example.prompt)))
    if len(ordered) <= count:
        return ordered
    return [ordered[(2 * index + 1) * len(ordered) // (2 * count)] for index in range(count)]


def as_turns(examples: Sequence[Example]) -> tuple[Turn, ...]:
    """Examples as earlier turns, for asking an untouched model that is shown what is wanted (few-shot)."""
    return tuple(
        turn
        for example in examples
        for turn in (
            Turn(role="user", text=example.prompt),
            Turn(role="assistant", text=example.completion),
        )
    )


def _hash(text: str) -> bytes:
    """An order among prompts of equal length that does not depend on the order of the table."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
