"""A text taken apart once for every rule: its words, each with its place, and where sentences begin.

Hyphens separate words here, so that a listed word is found in a compound; `sentences.py` keeps them whole.
What follows an abbreviation begins no sentence, even where one does end, so that its capital is not excused.
Does not know any rule.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from studio.sentences import ABBREVIATIONS, normalise_word

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
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
    text: str
    words: tuple[Word, ...]

    @cached_property
    def sentences(self) -> int:
        return sum(word.begins == "sentence" for word in self.words)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(word.lower for word in self.words)

    @cached_property
    def is_english(self) -> bool:
        """What is known of spelling, names and syllables holds for English only. In doubt, a text is."""
        english = foreign = unusual = 0
        for word in self.words:
            english += word.lower in _FUNCTION_WORDS
            foreign += word.lower in _FOREIGN_WORDS or not word.lower.isascii()
            unusual += 0 if word.lower.isascii() else 1 if word.lower < _AFTER_LATIN else _OTHER_SCRIPT_WEIGHT
        return foreign <= max(english, 2) and unusual <= max(_FOREIGN_LETTERS_SHARE * len(self.words), 2)


def read_prose(text: str) -> Prose:
    """Take any text apart. Hyphens separate words, apostrophes do not."""
    words: list[Word] = []
    before = 0
    has_curly = "’" in text
    for match in _WORD.finditer(text):
        start, end = match.span()
        gap = text[before:start]
        begins: Beginning = "" if gap == " " and words else _find_beginning(gap, words)
        word = match[0]
        words.append(Word(word, normalise_word(word) if has_curly else word.lower(), start, end, begins))
        before = end
    return Prose(text, tuple(words))


def _find_beginning(gap: str, words: list[Word]) -> Beginning:
    """`gap` is what stands between the last word and this one."""
    if not words or "\n" in gap or "\r" in gap:
        return "sentence"
    if any(mark in _ENDS for mark in gap):
        is_abbreviated = gap.startswith(".") and words[-1].lower in _ABBREVIATIONS
        return "sentence" if gap[-1].isspace() and not is_abbreviated else _find_part(gap)
    return _find_part(gap)


def _find_part(gap: str) -> Beginning:
    return "part" if any(mark in _OPENERS for mark in gap) else ""
