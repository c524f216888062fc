"""Brand rules read off the examples by one click; all of them are the person's to change.

A habit becomes a rule only where the examples are clear about it. Words never to use are left to the person.
Does not know facts, nor whether a habit is a good one, nor how to say why (`brand_reasons.py`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from math import ceil, floor, log

from engine.contract.brand import BrandRules, LengthBand
from engine.contract.records import Example
from studio.columns import VOICE_PROMPT
from studio.habits import HIGH, choose_side, count_habits, find_percentile
from studio.inflections import build_forms
from studio.kinds import find_kind, is_of_kind
from studio.plain_english import find_share, load_shares
from studio.prose import Prose, read_prose

# A kind of text is worth a length of its own from so many examples, and so large a share of them.
_KIND_AT_LEAST, _KIND_SHARE, _KINDS_AT_MOST = 10, 0.05, 20
_LOW = 1 - HIGH
_WORDS_SUGGESTED = 20
_WORD_IN_TEXTS, _WORD_SHARE = 3, 0.02
# So many times as frequent as in plain English is a word of one's own.
_WORD_TIMES = 4.0
_COMMON_WORDS = 300
# The hardest of her texts should not sit on the edge.
_GRADE_SPARE = 1


def suggest_rules(examples: Sequence[Example]) -> BrandRules:
    """Rules that most of the examples keep; without examples, none."""
    if not examples:
        return BrandRules()
    proses = [read_prose(example.completion) for example in examples]
    habits = count_habits(proses)
    return BrandRules(
        length_bands=tuple(_suggest_bands(examples)),
        words_we_use=tuple(_suggest_words(examples, proses)),
        spelling=choose_side(habits.british, habits.american, ("british", "american")),
        exclamation_marks_at_most=min(ceil(find_percentile(habits.exclamations, HIGH)), 100),
        oxford_comma=choose_side(habits.with_comma, habits.without_comma, ("always", "never")),
        emoji="allowed" if habits.texts_with_emoji else "never",
        reading_grade_at_most=_suggest_grade(habits.grades),
    )


def _suggest_bands(examples: Sequence[Example]) -> Iterator[LengthBand]:
    """One for all texts, and one for each kind that is not most of them anyway."""
    counts = Counter(find_kind(example.prompt) for example in examples if example.prompt != VOICE_PROMPT)
    enough = max(_KIND_AT_LEAST, _KIND_SHARE * len(examples))
    kinds = [kind for kind, count in counts.items() if kind and enough <= count < len(examples)]
    yield _build_band("", examples)
    for kind in sorted(kinds, key=lambda kind: -counts[kind])[:_KINDS_AT_MOST]:
        yield _build_band(kind, [example for example in examples if is_of_kind(example.prompt, kind)])


def _build_band(kind: str, examples: Sequence[Example]) -> LengthBand:
    words = [len(example.completion.split()) for example in examples]
    characters = [len(example.completion) for example in examples]
    least_words, most_words = _find_range(words, 5)
    least_characters, most_characters = _find_range(characters, 50)
    return LengthBand(
        kind=kind,
        least_words=least_words,
        most_words=most_words,
        least_characters=least_characters,
        most_characters=most_characters,
    )


def _find_range(lengths: Sequence[int], step: int) -> tuple[int, int]:
    """From the 5th to the 95th percentile, rounded outward to what a person would say."""
    low, high = find_percentile(lengths, _LOW), find_percentile(lengths, HIGH)
    step = step if low >= 2 * step else 1
    least, most = floor(low / step) * step, max(ceil(high / step) * step, 1)
    # Texts of one length leave no room to write another.
    return (least, most) if least < most else (max(least - step, 0), most + step)


def _suggest_grade(grades: Sequence[float]) -> float | None:
    if not grades:
        return None
    return min(max(ceil(find_percentile(grades, HIGH)) + _GRADE_SPARE, 1), 30)


def _suggest_words(examples: Sequence[Example], proses: Sequence[Prose]) -> list[str]:
    """Words that many texts have, plain English has rarely, and no prompt asked for; each in one form."""
    total = sum(len(prose.lower) for prose in proses)
    uses, texts = _count_own_words(examples, proses)
    enough = max(_WORD_IN_TEXTS, _WORD_SHARE * len(examples))
    times = {
        word: uses[word] / total / find_share(word)
        for word, count in texts.items()
        if count >= enough and len(word) > 2 and word not in _find_common()
    }
    favourites = [word for word, factor in times.items() if factor >= _WORD_TIMES]
    chosen: list[str] = []
    for word in sorted(favourites, key=lambda word: (-texts[word] * log(times[word]), word)):
        if not build_forms(word) & set(chosen):
            chosen.append(word)
    return chosen[:_WORDS_SUGGESTED]


def _count_own_words(
    examples: Sequence[Example], proses: Sequence[Prose]
) -> tuple[Counter[str], Counter[str]]:
    """Uses and texts of each word that its prompt does not hold: what is sold is no favourite word."""
    uses: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    for example, prose in zip(examples, proses, strict=True):
        asked = read_prose(example.prompt).vocabulary
        own = [
            word.lower
            for word in prose.words
            if word.lower not in asked and word.lower.isalpha() and (word.begins or word.text.islower())
        ]
        uses.update(own)
        texts.update(set(own))
    return uses, texts


@cache
def _find_common() -> frozenset[str]:
    """The glue of every text: no brand has it for itself."""
    return frozenset(list(load_shares())[:_COMMON_WORDS])
