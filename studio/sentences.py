"""Cuts a text into sentences and words, in any script.

Words are runs of letters and digits; a hyphen or an apostrophe inside holds them together. In scripts that
put no spaces between words, every sign counts as one. Made to describe a voice; `prose.py` gives words with
their places and parts them at hyphens, `words.py` those by which texts are held against each other. Does not
know any language's grammar, so that an abbreviation it has not heard of ends a sentence.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

# What ends a word: punctuation of all scripts and pictures, but neither the accents nor the joiners that
# stand inside words of many scripts.
_STOPS = (
    r"\s!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u060c\u061b\u061f\u0964\u0965"
    r"\u2010-\u206f\u2190-\u2bff\u3000-\u3004\u3008-\u3020\u30fb\ufe0f\uff01-\uff0f\uff1a-\uff20"
    r"\U0001f000-\U0001faff"
)
# Thai, Lao, Khmer, Burmese, kana, Chinese characters: no spaces between words.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(
    rf"[{UNSPACED}]|(?=\w)[^{_STOPS}{UNSPACED}]+(?:(?:[-'’\u2010\u2011](?=\w)|(?<=\d)[.,](?=\d))[^{_STOPS}{UNSPACED}]+)*"
)
# Begins with one set of signs, so that the search skips from one to the next.
_END = re.compile(
    r"[.!?…。！？।\n](?:(?<=[.!?…])(?<![.!?…][.!?…])[.!?…]*+[\"'”’»)\]]*+(?=\s)|(?<=[。！？।])[。！？।]*[」』”]?|(?<=\n))\s*"
)
ABBREVIATIONS = frozenset(
    str.split(
        """
mr mrs ms dr prof mme sr sra st no nr vs etc eg ie approx incl max min ca bzw inc ltd co corp dept tel fig
"""
    )
)
"""Titles and shortenings in which brands' texts have a point without an end, in small letters."""
# Single letters are initials, or end "e.g." and "z. B.".
_SHORTENED = re.compile(rf"(?:\b(?:{'|'.join(sorted(ABBREVIATIONS))})|(?<![^\W_])[a-z])\.\Z", re.IGNORECASE)
_LONGEST_SHORTENED = 12


@lru_cache(maxsize=65_536)
def normalise_word(word: str) -> str:
    """In small letters with a straight apostrophe: the form in which words are counted and looked up."""
    return word.lower().replace("’", "'")


def split_words(text: str) -> list[str]:
    return _WORD.findall(text)


def split_sentences(text: str) -> list[str]:
    """Sentences without the space around them; a line break ends one too, since lists have no full stops."""
    sentences, start = [], 0
    for match in _END.finditer(text):
        if _is_shortened(text, match):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _is_shortened(text: str, match: re.Match[str]) -> bool:
    if match[0].rstrip() != "." or "\n" in match[0]:
        return False
    before = text[max(0, match.start() - _LONGEST_SHORTENED) : match.start() + 1]
    return _SHORTENED.search(before) is not None


@dataclass(frozen=True)
class SplitText:
    """A text with its sentences, and the words of each."""

    text: str
    sentences: tuple[str, ...]
    words: tuple[list[str], ...]
    plain: list[str]
    """All words, normalised."""


def split_text(text: str) -> SplitText:
    """Sentences without a word (a row of stars, a lone emoji) are left out."""
    pairs = [(sentence, split_words(sentence)) for sentence in split_sentences(text)]
    filled = [(sentence, words) for sentence, words in pairs if words]
    words = tuple(words for _, words in filled)
    plain = [normalise_word(word) for sentence in words for word in sentence]
    return SplitText(text, tuple(sentence for sentence, _ in filled), words, plain)
