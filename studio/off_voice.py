"""Which texts sound unlike the rest, the strangest first, each with its reasons in plain words.

What is usual is the median of all texts, and what nearly all or hardly any do. Does not know what is compared
(`voice_traits.py`), nor prompts, tokens or models.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.contract.records import Example
from studio.voice_traits import HABITS, MEASURES, Habit, Measure, Values
from studio.words import split_all

# Under this, the median of a habit is a matter of chance.
_EXAMPLES_AT_LEAST = 30
# A text of a few words has no rhythm to compare.
_WORDS_AT_LEAST = 8
# Departures from the median in robust standard deviations; 3.5 is usual (Iglewicz and Hoaglin 1993).
_Z_AT_LEAST = 3.5
_Z_AT_MOST = 8.0
# The median absolute deviation of a normal distribution is 0.6745 of its standard deviation.
_MAD_TO_SD = 0.6745
# A habit is what nine in ten texts do, or what one in fifty does.
_HABIT, _RARE = 0.9, 0.02
# One broken habit alone is no other voice; two are, and so is one on top of a strange rhythm.
_BROKEN_HABIT = 2.0
_SCORE_AT_LEAST = 4.0


@dataclass(frozen=True)
class OffVoice:
    row: int
    score: float
    """How far from the rest; only the order of scores means anything."""
    reasons: tuple[str, ...]
    """The weightiest first."""


@dataclass(frozen=True)
class _Remark:
    position: int
    score: float
    reason: str


def rank_off_voice(examples: Sequence[Example]) -> list[OffVoice]:
    """The texts that stand out, the strangest first; none if there are too few to say what is usual."""
    words = split_all(tuple(example.completion for example in examples))
    judged = [position for position, parts in enumerate(words) if len(parts) >= _WORDS_AT_LEAST]
    if len(judged) < _EXAMPLES_AT_LEAST:
        return []
    remarks: list[list[_Remark]] = [[] for _ in judged]
    for remark in _compare([examples[one].completion for one in judged], [words[one] for one in judged]):
        remarks[remark.position].append(remark)
    ranked = [_conclude(examples[one].row, found) for one, found in zip(judged, remarks, strict=True)]
    strange = [one for one in ranked if one.score >= _SCORE_AT_LEAST]
    return sorted(strange, key=lambda one: (-one.score, one.row))


def _conclude(row: int, remarks: list[_Remark]) -> OffVoice:
    weighty = sorted(remarks, key=lambda remark: -remark.score)
    return OffVoice(row, sum(remark.score for remark in weighty), tuple(one.reason for one in weighty))


def _compare(texts: Sequence[str], words: Sequence[list[str]]) -> Iterator[_Remark]:
    measured = [(measure, measure.of(texts, words)) for measure in MEASURES]
    if _is_template(measured[0][1]):
        return
    for measure, values in measured:
        yield from _compare_measure(measure, values)
    for habit in HABITS:
        yield from _compare_habit(habit, texts)


def _is_template(rhythms: Values) -> bool:
    """Where more than half have the very same rhythm nobody wrote them, and any real text looks strange."""
    return max(Counter(rhythms.tolist()).values()) > len(rhythms) / 2


def _compare_measure(measure: Measure, values: Values) -> Iterator[_Remark]:
    departures = values - np.median(values)
    spread = max(float(np.median(np.abs(departures))) / _MAD_TO_SD, measure.least_spread)
    for position in np.flatnonzero(np.abs(departures) >= _Z_AT_LEAST * spread).tolist():
        departure = float(departures[position])
        reason = measure.describe(departure)
        if reason is not None:
            yield _Remark(position, min(abs(departure) / spread, _Z_AT_MOST), reason)


def _compare_habit(habit: Habit, texts: Sequence[str]) -> Iterator[_Remark]:
    has = np.array([habit.has(text) for text in texts])
    share = has.mean()
    if share >= _HABIT:
        reason = f"without {habit.what}, where you nearly always have that"
        for position in np.flatnonzero(~has).tolist():
            yield _Remark(position, _BROKEN_HABIT, reason)
    elif share <= _RARE:
        for position in np.flatnonzero(has).tolist():
            yield _Remark(position, _BROKEN_HABIT, f"{habit.what}, which you hardly ever use")
