"""How much examples still teach about how they are written: a small model shown more and more of them.

A voice is in the small words, the marks and the rhythm; what texts are about never stops being new. So the
150 commonest words and the marks stand for themselves, every other word for its length. Held-out texts are
predicted by a model of pairs (interpolated after Witten and Bell, IEEE Transactions on Information Theory
37, 1991) that knows the first eighth of the rest, a quarter, half, and all. What is measured is surprise in
bits per word or mark. Works on any script. Does not know how much is enough.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

# Enough to measure a percent of surprise, and few enough for the whole to take a fraction of a second.
_HELD_OUT_AT_MOST = 120
_LEARNT_AT_MOST = 3_000
_HELD_OUT_EVERY = 5
_FEWEST_TEXTS = 10
_SHARES = (0.125, 0.25, 0.5, 1.0)
_LONGEST = 20
_COMMON_WORDS = 150
# The common words, some twenty lengths and some ten marks: what an unseen sign is one of.
_SIGNS = 180
_START = ""
_SIGN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")


@dataclass(frozen=True)
class CurveStep:
    examples: int
    bits: float
    """Surprise per word or mark of the held-out texts."""


class _PairModel:
    """Counts of words and of pairs; more texts can be added at any time."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.follows: Counter[str] = Counter()
        self.kinds_after: Counter[str] = Counter()
        self.total = 0

    def learn(self, texts: Sequence[list[str]]) -> None:
        for words in texts:
            self.words.update(words)
            self.pairs.update(zip([_START, *words], words, strict=False))
        self.total = sum(self.words.values())
        self.follows.clear()
        self.kinds_after.clear()
        for (before, _), count in self.pairs.items():
            self.follows[before] += count
            self.kinds_after[before] += 1

    def surprise(self, texts: Sequence[list[str]]) -> float:
        """Bits per word."""
        bits = sum(self._bits(before, word) for words in texts for before, word in pairwise([_START, *words]))
        return bits / max(sum(map(len, texts)), 1)

    def _bits(self, before: str, word: str) -> float:
        kinds = len(self.words)
        single = (self.words[word] + kinds / _SIGNS) / (self.total + kinds or 1)
        after = self.kinds_after[before]
        if not after:
            return -log2(single) if single else log2(_SIGNS)
        return -log2((self.pairs[before, word] + after * single) / (self.follows[before] + after))


def measure_curve(completions: Sequence[str]) -> tuple[CurveStep, ...]:
    """A step for each share learnt, growing; empty with under ten different texts.

    The order is that of a hash, so that sorting the table changes nothing and every part is a fair sample.
    """
    texts = sorted({text for text in completions if text.strip()}, key=_hash)
    if len(texts) < _FEWEST_TEXTS:
        return ()
    held_out_count = min(_HELD_OUT_AT_MOST, len(texts) // _HELD_OUT_EVERY)
    reduced = _reduce(texts[: held_out_count + _LEARNT_AT_MOST])
    held_out, learnt = reduced[:held_out_count], reduced[held_out_count:]
    model, curve, start = _PairModel(), [], 0
    for share in _SHARES:
        end = max(1, round(share * len(learnt)))
        model.learn(learnt[start:end])
        curve.append(CurveStep(end, model.surprise(held_out)))
        start = end
    return tuple(curve)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _reduce(texts: Sequence[str]) -> list[list[str]]:
    """Each text as its common words and marks, and the length of every other word."""
    split = [_SIGN.findall(text.casefold()) for text in texts]
    counts = Counter(sign for signs in split for sign in signs)
    common = {sign for sign, _ in counts.most_common(_COMMON_WORDS)}
    reduced = {
        sign: sign if sign in common or not sign[0].isalnum() else str(min(len(sign), _LONGEST))
        for sign in counts
    }
    return [[reduced[sign] for sign in signs] for signs in split]
