"""A text taken apart once for every rule: its words, each with its place, and where sentences begin.

Hyphens separate words here, so that a listed word is found in a compound; `sentences.py` keeps them whole.
What follows an abbreviation begins no sentence, even where one does end, so that its capital is not excused.
Does not know any rule.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from studio.sentences import ABBREVIATIONS, normalise_word

_WORD = re.compile(r"([^\W_]+(?:['’][^\W_]+)*)")
_ENDS = frozenset(".!?…\n\r。！？")
# After these a capital says nothing, but no sentence ends: "Delivery: Free", "the “Aurora”", "• Light".
_OPENERS = frozenset(':;"“”„«»‘([•*–—|/')
# The pieces of "e.g.", "i.e." and "a.m." among them.
_ABBREVIATIONS = ABBREVIATIONS | {"e", "g", "i", "a", "p", "m", "pm", "am"}
_FUNCTION_WORDS = frozenset(
    str.split(
        """
the and of to a in is for with your you it that this on are our be as at from by or we can have has will
not its all an i but if so they their his her he she was were them my me do more
"""
    )
)
_FOREIGN_WORDS = (
    frozenset(
        str.split(
            """
der die das und ist nicht ein eine einen einem mit für auf dem den von zu im sich auch wir sie ihr es oder
le la les des et est une un dans pour avec sur vous nous qui que pas du ce au el los las y con por para su
del se lo il gli di che per non sono della het een en van voor niet zijn och att det som av og til ikke w
na nie jest se je o os as uma com não em do da
"""
        )
    )
    - _FUNCTION_WORDS
)
# "Café", "naïve" and names are English texts' own; more words with such letters are another language's.
_FOREIGN_LETTERS_SHARE = 0.2
_AFTER_LATIN, _OTHER_SCRIPT_WEIGHT = "\u0250", 3

Beginning = Literal["", "part", "sentence"]


class Word(NamedTuple):
    text: str
    lower: str
    """In lower case, with plain apostrophes: the form that lists hold."""
    start: int
    end: int
    begins: Beginning
    """Whether it is the first of a sentence, or of a part where a capital says nothing."""


@dataclass(frozen=True)
class Prose:
    """Most rules ask for nothing but the words in lower case: the rest is worked out when first asked for."""

    text: str
    parts: tuple[str, ...]
    """In turn what stands between two words and a word; the first and the last stand outside of all."""
    lower: tuple[str, ...]
    """Each word in lower case, with plain apostrophes: the form that lists hold."""

    @cached_property
    def words(self) -> tuple[Word, ...]:
        return self.find_words(0, len(self.lower))

    def find_words(self, first: int, end: int) -> tuple[Word, ...]:
        """Those from `first` on, before `end`."""
        texts = self.parts[2 * first + 1 : 2 * end : 2]
        starts, ends = self._ends[2 * first : 2 * end : 2], self._ends[2 * first + 1 : 2 * end : 2]
        columns = zip(texts, self.lower[first:end], starts, ends, self.beginnings[first:end], strict=True)
        return tuple(map(Word._make, columns))

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.parts)))

    @cached_property
    def sentences(self) -> int:
        return self.beginnings.count("sentence")

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(self.lower)

    @cached_property
    def is_english(self) -> bool:
        """What is known of spelling, names and syllables holds for English only. In doubt, a text is."""
        english = sum(map(_FUNCTION_WORDS.__contains__, self.lower))
        foreign = sum(map(_FOREIGN_WORDS.__contains__, self.lower))
        unusual = 0
        for word in () if self.text.isascii() else self.lower:
            if not word.isascii():
                foreign += word not in _FOREIGN_WORDS
                unusual += 1 if word < _AFTER_LATIN else _OTHER_SCRIPT_WEIGHT
        return foreign <= max(english, 2) and unusual <= max(_FOREIGN_LETTERS_SHARE * len(self.lower), 2)

    @cached_property
    def beginnings(self) -> list[Beginning]:
        """What each word begins."""
        beginnings: list[Beginning] = [""] * len(self.lower)
        for position, gap in enumerate(self.parts[:-1:2]):
            if position == 0:
                beginnings[0] = "sentence"
            elif gap != " ":
                beginnings[position] = _find_beginning(gap, self.lower[position - 1])
        return beginnings


def read_prose(text: str) -> Prose:
    """Take any text apart. Hyphens separate words, apostrophes do not."""
    parts = tuple(_WORD.split(text))
    lower = map(normalise_word if "’" in text else str.lower, parts[1::2])
    return Prose(text, parts, tuple(lower))


def _find_beginning(gap: str, before: str) -> Beginning:
    """What begins behind `gap`, which stands after the word `before`."""
    if "\n" in gap or "\r" in gap:
        return "sentence"
    if any(mark in _ENDS for mark in gap):
        is_abbreviated = gap.startswith(".") and before in _ABBREVIATIONS
        return "sentence" if gap[-1].isspace() and not is_abbreviated else _find_part(gap)
    return _find_part(gap)


def _find_part(gap: str) -> Beginning:
    return "part" if any(mark in _OPENERS for mark in gap) else ""
