"""A text taken apart into its words and its sentences. Knows no language and judges nothing."""

import re
from functools import lru_cache

# Scripts that put no spaces between words are taken letter by letter: kana, Han, Thai, Lao, Khmer.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*")
# Begins with one set of characters, so that the search skips from one to the next.
_SENTENCE_END = re.compile(r"[.!?…。！？\n]+(?:[\"”’')]*(?=\s|$)|(?<=[。！？\n]))")


def split_words(text: str) -> list[str]:
    """Words in the order of the text, blind to case and punctuation."""
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=1)
def split_all(texts: tuple[str, ...]) -> list[list[str]]:
    """The words of each text. Remembered, since several checks ask for those of the same texts in turn."""
    known: dict[str, str] = {}
    return [list(map(known.setdefault, words, words)) for words in map(split_words, texts)]


def split_sentences(text: str) -> list[str]:
    """Roughly: at full stops, exclamation and question marks before a space, and at line breaks."""
    return [part for part in _SENTENCE_END.split(text) if part and not part.isspace()]
