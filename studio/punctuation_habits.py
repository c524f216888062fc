"""How often a voice sets each mark: exclamation and question marks, dashes, brackets, emoji and the like.

Counted in any language. Does not say where in a text a mark stands (`punctuation.py`), nor if it is right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from studio.punctuation import EMOJI, EXCLAMATION


@dataclass(frozen=True)
class _Mark:
    pattern: re.Pattern[str]
    hints: str
    """Signs one of which a text must have; without hints, texts of ASCII alone are passed over."""

    def count(self, text: str) -> int:
        """Plain look-ups first: they are ten times as fast as patterns."""
        may_be = any(sign in text for sign in self.hints) if self.hints else not text.isascii()
        return len(self.pattern.findall(text)) if may_be else 0


_MARKS: dict[str, _Mark] = {
    "exclamation marks": _Mark(EXCLAMATION, "!！"),
    "question marks": _Mark(re.compile(r"[?？؟]"), "?？؟"),
    "dashes": _Mark(re.compile(r"[—―]|(?<=\s)[–-](?=\s)"), "—―–-"),
    "ellipses": _Mark(re.compile(r"…|\.{3,}"), "…."),
    "colons": _Mark(re.compile(r":(?=\s)|："), ":："),
    "brackets": _Mark(re.compile(r"[(（]"), "(（"),
    "emoji": _Mark(EMOJI, ""),
    "hashtags": _Mark(re.compile(r"(?<!\S)#[^\W\d]\w*"), "#"),
}


@dataclass(frozen=True)
class PunctuationHabit:
    name: str
    per_100_words: float
    share_of_texts: float


def has_mark(name: str, text: str) -> bool:
    return _MARKS[name].count(text) > 0


def measure_punctuation(texts: Sequence[str], words: int) -> tuple[PunctuationHabit, ...]:
    """Every kind of mark, whether the voice uses it or not."""
    habits = []
    for name, mark in _MARKS.items():
        counts = [mark.count(text) for text in texts]
        per_100 = 100 * sum(counts) / words if words else 0.0
        share = sum(count > 0 for count in counts) / max(len(texts), 1)
        habits.append(PunctuationHabit(name, per_100, share))
    return tuple(habits)
