"""Which kind of text a prompt asks for, and how long such a text may be.

A kind is what its prompts begin with: "Write a product description", "Define". Told from one prompt alone, by
how English asks; `prompt_kinds.py` finds what many prompts share, in any language, and so knows none of a
single prompt. Does not know the texts.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from engine.contract.brand import LengthBand

_WORDS_AT_MOST = 6
# What a kind is about begins here: "Write a reply | to a customer who", "Product description | for the".
_TURN = frozenset(
    str.split(
        """
for of about to from by on in with at that which who where called named titled entitled the this these
our your my its and
"""
    )
)
_ARTICLES = frozenset(
    str.split(
        """
a an the this our your my new
"""
    )
)
_END = re.compile(r"[:;,.!?\n\r(\[{“”\"«»]|\s[–—-]\s|\d")


def find_kind(prompt: str) -> str:
    """What the prompts of its kind begin with; empty where a prompt begins as no other would."""
    head = prompt.strip()
    end = _END.search(head)
    words = (head[: end.start()] if end else head).split()
    kind = words[:1]
    for word in words[1:_WORDS_AT_MOST]:
        if word.lower() in _TURN or word[:1].isupper():
            break
        kind.append(word)
    while len(kind) > 1 and kind[-1].lower() in _ARTICLES:
        kind.pop()
    return " ".join(kind)


def is_of_kind(prompt: str, kind: str) -> bool:
    """Whether a prompt begins with these words, blind to case and spacing."""
    words = _split_kind(kind)
    return _read_beginning(prompt, len(words)) == words


def find_band(prompt: str, bands: Sequence[LengthBand]) -> LengthBand | None:
    """The band of the longest kind that fits; the one without a kind stands for all other texts."""
    kinds = [_split_kind(band.kind) for band in bands]
    beginning = _read_beginning(prompt, max(map(len, kinds), default=0))
    fitting = [band for band, words in zip(bands, kinds, strict=True) if beginning[: len(words)] == words]
    return max(fitting, key=lambda band: len(band.kind), default=None)


@lru_cache(maxsize=128)
def _split_kind(kind: str) -> list[str]:
    return kind.lower().split()


def _read_beginning(prompt: str, words: int) -> list[str]:
    """So many words of a prompt at most, without the marks behind them."""
    return [word.rstrip(":;,.!?") for word in prompt.lower().split(maxsplit=words)[:words]]
