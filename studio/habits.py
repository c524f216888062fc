"""What a set of texts does by habit: counted, without a word on what it should do.

Does not know rules.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil, floor
from typing import TypeVar

from studio.prose import Prose
from studio.punctuation import find_emoji, find_exclamations, find_lists
from studio.reading_level import find_grade
from studio.spelling import find_other_spelling

# The end of what is usual: one text in twenty lies beyond it.
HIGH = 0.95
# One side of a habit is clear with at least five cases, nine in ten of them.
CLEAR_CASES, _CLEAR_SHARE = 5, 0.9
_Side = TypeVar("_Side", bound=str)


@dataclass(frozen=True)
class Habits:
    """What was counted in all texts."""

    exclamations: list[int]
    grades: list[float]
    with_comma: int
    without_comma: int
    british: int
    american: int
    texts_with_emoji: int


def count_habits(proses: Sequence[Prose]) -> Habits:
    lists = Counter(has_comma for prose in proses for _, has_comma in find_lists(prose.text))
    words = Counter(chain.from_iterable(prose.lower for prose in proses if prose.is_english))
    grades = map(find_grade, proses)
    return Habits(
        exclamations=[len(find_exclamations(prose.text)) for prose in proses],
        grades=[grade for grade in grades if grade is not None],
        with_comma=lists[True],
        without_comma=lists[False],
        british=sum(count for word, count in words.items() if find_other_spelling(word, "american")),
        american=sum(count for word, count in words.items() if find_other_spelling(word, "british")),
        texts_with_emoji=sum(bool(find_emoji(prose.text)) for prose in proses),
    )


def choose_side(ones: int, others: int, sides: tuple[_Side, _Side]) -> _Side | None:
    """The side that is clearly the habit, if one is."""
    if max(ones, others) < max(CLEAR_CASES, _CLEAR_SHARE * (ones + others)):
        return None
    return sides[ones < others]


def find_percentile(values: Sequence[float], share: float) -> float:
    """Between neighbours in proportion, as a spreadsheet's PERCENTILE does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = ordered[floor(place)]
    return low + (ordered[ceil(place)] - low) * (place - floor(place))
