"""A text as its words, so that texts can be held against each other: blind to case and all punctuation.

A hyphen parts words here, so that "well-made" equals "well made"; `sentences.py` keeps them whole, and finds
sentences. Knows no language and judges nothing.
"""

import re
from functools import lru_cache

from studio.sentences import UNSPACED

# Scripts that put no spaces between words are taken letter by letter.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:['’][^\W{UNSPACED}]+)*")


def split_words(text: str) -> list[str]:
    """Words in the order of the text, blind to case and punctuation."""
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=1)
def split_all(texts: tuple[str, ...]) -> list[list[str]]:
    """The words of each text. Remembered, since several checks ask for those of the same texts in turn."""
    known: dict[str, str] = {}
    return [list(map(known.setdefault, words, words)) for words in map(split_words, texts)]
