"""Finds the words and phrases of a list in a text: in any case, in every inflected form, in both spellings.

Only whole words: "art" is not found in "start". A phrase is found across spaces and hyphens. What holds no
word ("™") is found as it stands. Does not know whether a list is of wanted or of unwanted words.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from studio.inflections import build_forms
from studio.prose import Prose, read_prose
from studio.spelling import find_both_spellings

_WITHIN_PHRASE = re.compile(r"[ \t\u00a0\u2010-\u2013-]+")


class Hit(NamedTuple):
    listed: str
    start: int
    end: int


class _Phrase(NamedTuple):
    listed: str
    rest: tuple[frozenset[str], ...]
    """For every word after the first: the forms it may have."""


@dataclass(frozen=True)
class WordList:
    """A list made ready for many texts."""

    phrases: dict[str, list[_Phrase]]
    """By each form of their first word."""
    signs: tuple[str, ...]


def build_word_list(listed: Iterable[str]) -> WordList:
    phrases: dict[str, list[_Phrase]] = {}
    signs = []
    for entry in map(str.strip, listed):
        words = [_build_all_forms(word) for word in read_prose(entry).lower]
        if not words and entry:
            signs.append(entry)
        for form in words[0] if words else ():
            phrases.setdefault(form, []).append(_Phrase(entry, tuple(words[1:])))
    return WordList(phrases, tuple(signs))


def find_listed(prose: Prose, words: WordList) -> Iterator[Hit]:
    """Every place where something of the list stands."""
    begins_one = not words.phrases.keys().isdisjoint(prose.vocabulary)
    for position, word in enumerate(prose.words if begins_one else ()):
        for phrase in words.phrases.get(word.lower, ()):
            end = _find_end(prose, position, phrase)
            if end is not None:
                yield Hit(phrase.listed, word.start, end)
    for sign in words.signs:
        for match in re.finditer(re.escape(sign), prose.text):
            yield Hit(sign, *match.span())


def _find_end(prose: Prose, position: int, phrase: _Phrase) -> int | None:
    """Where a phrase ends that begins with this word; None if it goes on otherwise."""
    following = prose.words[position + 1 : position + 1 + len(phrase.rest)]
    end = prose.words[position].end
    if len(following) < len(phrase.rest):
        return None
    for word, forms in zip(following, phrase.rest, strict=True):
        if word.lower not in forms or not _WITHIN_PHRASE.fullmatch(prose.text[end : word.start]):
            return None
        end = word.end
    return end


def _build_all_forms(word: str) -> frozenset[str]:
    return frozenset(twin for form in build_forms(word) for twin in find_both_spellings(form))
