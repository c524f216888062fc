"""Which texts sound unlike the rest, the strangest first, each with its reasons in plain words.

Compared are rhythm, length of words, choice of words and habits of punctuation, against the median of all
texts. What a text says is not compared, nor how long it is. Does not know prompts, tokens or models.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.contract.records import Example
from studio.words import split_sentences, split_words

# Under this, the median of a habit is a matter of chance.
_EXAMPLES_AT_LEAST = 30
# A text of a few words has no rhythm to compare.
_WORDS_AT_LEAST = 8
# Deviations from the median in robust standard deviations; 3.5 is usual (Iglewicz and Hoaglin 1993).
_Z_AT_LEAST = 3.5
_Z_AT_MOST = 8.0
# The median absolute deviation of a normal distribution is 0.6745 of its standard deviation.
_MAD_TO_SD = 0.6745
# A habit is what nine in ten texts do, or what one in fifty does.
_HABIT, _RARE = 0.9, 0.02
# One broken habit alone is no other voice; two are, and so is one on top of a strange rhythm.
_BROKEN_HABIT = 2.0
_SCORE_AT_LEAST = 4.0
_MULTIPLES = ((2.75, "{:.0f} times as"), (1.75, "twice as"), (1.25, "half as again as"))

Values = NDArray[np.float64]


@dataclass(frozen=True)
class OffVoice:
    row: int
    score: float
    """How far from the rest; only the order of scores means anything."""
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Measure:
    """A number per text, compared as a ratio to the median, and the words for too much and too little."""

    of: Callable[[str, list[str]], float]
    least_spread: float
    """Of the logarithm: texts more alike than this are not told apart."""
    more: str
    less: str


@dataclass(frozen=True)
class _Habit:
    has: Callable[[str], bool]
    what: str


def _words_per_sentence(text: str, words: list[str]) -> float:
    return len(words) / max(1, len(split_sentences(text)))


def _letters_per_word(_: str, words: list[str]) -> float:
    return sum(map(len, words)) / len(words)


_MEASURES = (
    _Measure(_words_per_sentence, 0.2, "sentences {ratio} long as usual", "sentences {ratio} long as usual"),
    _Measure(_letters_per_word, 0.06, "longer words than usual", "shorter words than usual"),
)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_CAPITALS = re.compile(r"\b[A-ZÀ-Þ]{4,}\b(?:\W+[A-ZÀ-Þ]{4,}\b)")
_HABITS = (
    _Habit(lambda text: "!" in text, "exclamation marks"),
    _Habit(lambda text: "?" in text, "questions"),
    _Habit(lambda text: not text.isascii() and _EMOJI.search(text) is not None, "emoji"),
    _Habit(lambda text: _CAPITALS.search(text) is not None, "words in capitals"),
    _Habit(lambda text: "\n" in text.strip(), "line breaks"),
    _Habit(lambda text: "…" in text or "..." in text, "dots that trail off"),
    _Habit(lambda text: ";" in text, "semicolons"),
    _Habit(lambda text: any(letter.isupper() for letter in text[:1]), "capitals at the start"),
)


def rank_off_voice(examples: Sequence[Example]) -> list[OffVoice]:
    """The texts that stand out, the strangest first; none if there are too few to say what is usual."""
    words = [split_words(example.completion) for example in examples]
    judged = [position for position, parts in enumerate(words) if len(parts) >= _WORDS_AT_LEAST]
    texts = [examples[position].completion for position in judged]
    if len(judged) < _EXAMPLES_AT_LEAST or _is_template([words[position] for position in judged], texts):
        return []
    remarks: list[list[tuple[float, str]]] = [[] for _ in judged]
    for found in (*_compare_measures(texts, [words[p] for p in judged]), *_compare_habits(texts)):
        for index, score, reason in found:
            remarks[index].append((score, reason))
    ranked = [
        _conclude(examples[position].row, found) for position, found in zip(judged, remarks, strict=True)
    ]
    return sorted(
        (one for one in ranked if one.score >= _SCORE_AT_LEAST), key=lambda one: (-one.score, one.row)
    )


def _is_template(words: Sequence[list[str]], texts: Sequence[str]) -> bool:
    """Where more than half have the very same rhythm nobody wrote them, and any real text looks strange."""
    rhythms = Counter(_words_per_sentence(text, parts) for text, parts in zip(texts, words, strict=True))
    return max(rhythms.values()) > len(texts) / 2


def _conclude(row: int, remarks: list[tuple[float, str]]) -> OffVoice:
    remarks = sorted(remarks, reverse=True)
    return OffVoice(row, float(sum(score for score, _ in remarks)), tuple(reason for _, reason in remarks))


Remark = tuple[int, float, str]


def _compare_measures(texts: Sequence[str], words: Sequence[list[str]]) -> Iterator[list[Remark]]:
    for measure in _MEASURES:
        values = np.array([measure.of(text, parts) for text, parts in zip(texts, words, strict=True)])
        logs = np.log(np.maximum(values, 1e-3))
        deviations = _robust_z(logs, measure.least_spread)
        yield [
            (index, min(abs(deviations[index]), _Z_AT_MOST), _word_measure(measure, values, index))
            for index in np.flatnonzero(np.abs(deviations) >= _Z_AT_LEAST).tolist()
        ]
    yield _compare_vocabulary(words)


def _compare_vocabulary(words: Sequence[list[str]]) -> list[Remark]:
    """Words that no other text has: who writes many of them is somebody else, or on another subject."""
    counts = Counter(word for parts in words for word in set(parts))
    shares = np.array([sum(counts[word] == 1 for word in parts) / len(parts) for parts in words])
    deviations = _robust_z(shares, 0.06)
    return [
        (
            index,
            min(deviations[index], _Z_AT_MOST),
            f"{_share(shares[index])} of its words stand in no other text",
        )
        for index in np.flatnonzero(deviations >= _Z_AT_LEAST).tolist()
    ]


def _compare_habits(texts: Sequence[str]) -> Iterator[list[Remark]]:
    for habit in _HABITS:
        has = np.array([habit.has(text) for text in texts])
        share = has.mean()
        if share >= _HABIT:
            reason = f"no {habit.what} where you nearly always have some"
            yield [(index, _BROKEN_HABIT, reason) for index in np.flatnonzero(~has).tolist()]
        elif share <= _RARE:
            reason = f"{habit.what}, which you hardly ever use"
            yield [(index, _BROKEN_HABIT, reason) for index in np.flatnonzero(has).tolist()]


def _robust_z(values: Values, least_spread: float) -> Values:
    middle = np.median(values)
    spread = max(float(np.median(np.abs(values - middle))) / _MAD_TO_SD, least_spread)
    deviations: Values = (values - middle) / spread
    return deviations


def _word_measure(measure: _Measure, values: Values, index: int) -> str:
    ratio = float(values[index] / np.median(values))
    return (measure.more if ratio > 1 else measure.less).format(ratio=_word_ratio(ratio))


def _word_ratio(ratio: float) -> str:
    if ratio > 1:
        return next(
            (words.format(ratio) for least, words in _MULTIPLES if ratio >= least), "much more than as"
        )
    return (
        "less than a third as"
        if ratio < 0.3
        else "less than half as"
        if ratio < 0.5
        else "little more than half as"
    )


def _share(share: float) -> str:
    tenths = round(10 * share)
    return "nearly all" if tenths >= 9 else "half" if tenths == 5 else f"{tenths} in 10"
