"""The words a voice loves: those it uses more than plain English does, against what chance would bring.

Ranked by the weighted log-odds of B. L. Monroe, M. P. Colaresi, K. M. Quinn, Fightin' Words, Political
Analysis 16 (2008), with plain English as the prior. Names are left out, since they belong to what is sold; so
are words that every text needs. Knows English only.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from studio.plain_english import find_share
from studio.sentences import SplitText, normalise_word

# Above this rate in plain English stand "the", "your" and "also": no voice is known by them.
_TOO_COMMON = 1_000.0
# So many words of plain English are mixed in before comparing, which keeps back what was seen by chance.
_PRIOR_WORDS = 1_000.0
_FEWEST_LETTERS = 4
_TIMES_PLAIN = 4.0


@dataclass(frozen=True)
class FavouriteWord:
    word: str
    texts: int
    """How many texts have it."""
    times_plain: float
    """How many times as often as in plain English."""


def find_favourites(texts: Sequence[SplitText], most: int = 12) -> tuple[FavouriteWord, ...]:
    """The most telling first; one that stands in fewer than three texts (or one in fifty) is not a habit."""
    counts: Counter[str] = Counter()
    spread: Counter[str] = Counter()
    for text in texts:
        counts.update(text.plain)
        spread.update(set(text.plain))
    total = sum(counts.values())
    least = max(3 if len(texts) > 5 else 2, len(texts) // 50)
    names = _find_names(texts)
    candidates = [
        word for word, texts_with in spread.items() if texts_with >= least and _may_be_loved(word, names)
    ]
    candidates.sort(key=lambda word: (-_weigh(counts[word], total, _plain_rate(word)), word))
    return tuple(
        FavouriteWord(word, spread[word], 1e6 * counts[word] / total / _plain_rate(word))
        for word in candidates[:most]
        if 1e6 * counts[word] / total >= _TIMES_PLAIN * _plain_rate(word)
    )


def _plain_rate(word: str) -> float:
    """Occurrences in a million words."""
    return 1e6 * find_share(word)


def _may_be_loved(word: str, names: frozenset[str]) -> bool:
    return (
        len(word) >= _FEWEST_LETTERS
        and word.replace("-", "").isalpha()
        and word not in names
        and _plain_rate(word) < _TOO_COMMON
    )


def _find_names(texts: Sequence[SplitText]) -> frozenset[str]:
    """Words that are mostly written with a capital where no sentence begins."""
    forms: Counter[str] = Counter()
    for text in texts:
        for words in text.words:
            forms.update(words[1:])
    capital: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for form, count in forms.items():
        word = normalise_word(form)
        total[word] += count
        capital[word] += count if form[0].isupper() else 0
    return frozenset(word for word, count in capital.items() if 2 * count > total[word])


def _weigh(count: int, total: int, rate: float) -> float:
    """The log-odds of a word in the voice against plain English, over its standard deviation."""
    prior = _PRIOR_WORDS * rate / 1e6
    plain_count, plain_total = rate, 1e6
    voice = log((count + prior) / (total + _PRIOR_WORDS - count - prior))
    plain = log((plain_count + prior) / (plain_total + _PRIOR_WORDS - plain_count - prior))
    return (voice - plain) / sqrt(1 / (count + prior) + 1 / (plain_count + prior))
