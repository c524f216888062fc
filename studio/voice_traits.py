"""What can be compared from text to text to hear a voice, and what to say where one text departs.

Rhythm, length of words, choice of words, habits of punctuation; not what a text says, nor how long it is.
Does not know what is usual, nor how far is too far (`off_voice.py`).
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from studio.punctuation_habits import has_mark
from studio.sentences import split_sentences

Values = NDArray[np.float64]
_TIMES = {
    2: ("twice as", "half as"),
    3: ("three times as", "a third as"),
    4: ("four times as", "a quarter as"),
}


@dataclass(frozen=True)
class Measure:
    """A number for each text, from the texts and their words."""

    of: Callable[[Sequence[str], Sequence[list[str]]], Values]
    least_spread: float
    """Texts more alike than this are not told apart."""
    describe: Callable[[float], str | None]
    """The departure from the median, in words; None for one that does not matter."""


@dataclass(frozen=True)
class Habit:
    """Something that a text has or has not."""

    has: Callable[[str], bool]
    what: str


def _sentence_lengths(texts: Sequence[str], words: Sequence[list[str]]) -> Values:
    """In words, as logarithms: twice as long and half as long are equally far."""
    pairs = zip(texts, words, strict=True)
    return np.log([len(parts) / max(1, len(split_sentences(text))) for text, parts in pairs])


def _word_lengths(_: Sequence[str], words: Sequence[list[str]]) -> Values:
    return np.log([sum(map(len, parts)) / len(parts) for parts in words])


def _lone_words(_: Sequence[str], words: Sequence[list[str]]) -> Values:
    """Share of words that no other text has: many of them are somebody else's, or of another subject."""
    counts = Counter(chain.from_iterable(map(set, words)))
    lone = {word for word, count in counts.items() if count == 1}
    return np.array([sum(map(lone.__contains__, parts)) / len(parts) for parts in words])


def _describe_sentences(departure: float) -> str:
    times = round(float(np.exp(abs(departure))))
    longer, shorter = _TIMES.get(times, (f"{times} times as", "not a quarter as"))
    return f"sentences {longer if departure > 0 else shorter} long as usual"


def _describe_word_length(departure: float) -> str:
    return "longer words than usual" if departure > 0 else "shorter words than usual"


def _describe_lone_words(departure: float) -> str | None:
    return "many words that stand in no other text" if departure > 0 else None


def _begins_with_capital(text: str) -> bool:
    return next(filter(str.isalpha, text), "").isupper()


_CAPITALS = re.compile(r"\b[A-ZÀ-Þ]{4,}\W+[A-ZÀ-Þ]{4,}\b")

MEASURES = (
    Measure(_sentence_lengths, 0.2, _describe_sentences),
    Measure(_word_lengths, 0.06, _describe_word_length),
    Measure(_lone_words, 0.06, _describe_lone_words),
)
HABITS = (
    Habit(partial(has_mark, "exclamation marks"), "exclamation marks"),
    Habit(partial(has_mark, "question marks"), "questions"),
    Habit(partial(has_mark, "emoji"), "emoji"),
    Habit(lambda text: _CAPITALS.search(text) is not None, "words in capitals"),
    Habit(lambda text: "\n" in text.strip(), "line breaks"),
    Habit(partial(has_mark, "ellipses"), "dots that trail off"),
    Habit(lambda text: ";" in text, "semicolons"),
    Habit(_begins_with_capital, "a capital at the start"),
)
