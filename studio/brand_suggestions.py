"""Brand rules read off the examples by one click, each with its reason; all are the person's to change.

A habit becomes a rule only where the examples are clear about it. Words never to use are left to the person.
Does not know facts, nor whether a habit is a good one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, log
from typing import TypeVar

from engine.contract.brand import BrandRules, LengthBand
from engine.contract.records import Example
from studio.brand import count_uses
from studio.columns import VOICE_PROMPT
from studio.inflections import build_forms
from studio.kinds import find_kind, is_of_kind
from studio.plain_english import find_share, load_shares
from studio.prose import Prose, read_prose
from studio.punctuation import find_emoji, find_exclamations, find_lists
from studio.readability import find_grade
from studio.rule_checks import GRADED_FROM_WORDS
from studio.spelling import find_other_spelling
from studio.wording import render_count

# A kind of text is worth a length of its own from so many examples, and so large a share of them.
_KIND_AT_LEAST, _KIND_SHARE, _KINDS_AT_MOST = 10, 0.05, 20
_LOW, _HIGH = 0.05, 0.95
_WORDS_SUGGESTED = 20
_WORD_IN_TEXTS, _WORD_SHARE = 3, 0.02
# So many times as frequent as in plain English is a word of one's own.
_WORD_TIMES = 4.0
_COMMON_WORDS = 150
# One side of a habit is clear with at least five cases, nine in ten of them.
_CLEAR_CASES, _CLEAR_SHARE = 5, 0.9
_GRADE_SPARE = 1
_Side = TypeVar("_Side", bound=str)


@dataclass(frozen=True)
class Reason:
    """Why a rule is suggested, or why none is."""

    rule: str
    text: str


@dataclass(frozen=True)
class _Habits:
    """What was counted in all texts."""

    exclamations: list[int]
    grades: list[float]
    with_comma: int
    without_comma: int
    british: int
    american: int
    texts_with_emoji: int


def suggest_rules(examples: Sequence[Example]) -> BrandRules:
    """Rules that most of the examples keep; without examples, none."""
    if not examples:
        return BrandRules()
    proses = [read_prose(example.completion) for example in examples]
    habits = _count_habits(proses)
    return BrandRules(
        length_bands=tuple(_suggest_bands(examples)),
        words_we_use=tuple(_suggest_words(examples, proses)),
        spelling=_choose(habits.british, habits.american, ("british", "american")),
        exclamation_marks_at_most=min(ceil(_find_percentile(habits.exclamations, _HIGH)), 100),
        oxford_comma=_choose(habits.with_comma, habits.without_comma, ("always", "never")),
        emoji="allowed" if habits.texts_with_emoji else "never",
        reading_grade_at_most=_suggest_grade(habits.grades),
    )


def explain_suggestions(examples: Sequence[Example], rules: BrandRules) -> list[Reason]:
    """What the examples say to each rule, whether it was set by them, by the person, or left open."""
    if not examples:
        return []
    habits = _count_habits([read_prose(example.completion) for example in examples])
    return [
        *(Reason("length", _explain_band(examples, band)) for band in rules.length_bands),
        Reason("words-we-use", _explain_words(examples, rules)),
        Reason(
            "spelling",
            _explain_sides(
                habits.british, habits.american, ("British spelling", "American spelling"), "words"
            ),
        ),
        Reason("exclamation-marks", _explain_exclamations(habits, rules)),
        Reason(
            "oxford-comma",
            _explain_sides(
                habits.with_comma,
                habits.without_comma,
                ("a comma before the last “and”", "none there"),
                "lists",
            ),
        ),
        Reason("emoji", _explain_emoji(habits, len(examples))),
        Reason("reading-grade", _explain_grade(habits.grades)),
    ]


def _count_habits(proses: Sequence[Prose]) -> _Habits:
    lists = Counter(has_comma for prose in proses for _, has_comma in find_lists(prose.text))
    words = Counter(word.lower for prose in proses if prose.is_english for word in prose.words)
    grades = [find_grade(prose) for prose in proses if len(prose.words) >= GRADED_FROM_WORDS]
    return _Habits(
        exclamations=[len(find_exclamations(prose.text)) for prose in proses],
        grades=[grade for grade in grades if grade is not None],
        with_comma=lists[True],
        without_comma=lists[False],
        british=sum(count for word, count in words.items() if find_other_spelling(word, "american")),
        american=sum(count for word, count in words.items() if find_other_spelling(word, "british")),
        texts_with_emoji=sum(bool(find_emoji(prose.text)) for prose in proses),
    )


def _choose(ones: int, others: int, sides: tuple[_Side, _Side]) -> _Side | None:
    """The side that is clearly the habit, if one is."""
    if max(ones, others) < max(_CLEAR_CASES, _CLEAR_SHARE * (ones + others)):
        return None
    return sides[ones < others]


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
    low, high = _find_percentile(lengths, _LOW), _find_percentile(lengths, _HIGH)
    low_step, high_step = (step if end >= 2 * step else 1 for end in (low, high))
    return floor(low / low_step) * low_step, max(ceil(high / high_step) * high_step, 1)


def _find_percentile(values: Sequence[float], share: float) -> float:
    """Between neighbours in proportion, as a spreadsheet's PERCENTILE does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = ordered[floor(place)]
    return low + (ordered[ceil(place)] - low) * (place - floor(place))


def _suggest_grade(grades: Sequence[float]) -> float | None:
    if not grades:
        return None
    return min(max(ceil(_find_percentile(grades, _HIGH)) + _GRADE_SPARE, 1), 30)


def _suggest_words(examples: Sequence[Example], proses: Sequence[Prose]) -> list[str]:
    """Words that many texts have, plain English has rarely, and no prompt asked for; each in one form."""
    total = sum(len(prose.words) for prose in proses)
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
        asked = {word.lower for word in read_prose(example.prompt).words}
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


def _explain_band(examples: Sequence[Example], band: LengthBand) -> str:
    texts = [example for example in examples if is_of_kind(example.prompt, band.kind)]
    inside = sum(band.least_words <= len(text.completion.split()) <= band.most_words for text in texts)
    which = f"texts whose prompt begins with “{band.kind}”" if band.kind else "texts"
    share = _render_share(inside, len(texts), which)
    return f"{share} have {band.least_words:,} to {band.most_words:,} words."


def _explain_words(examples: Sequence[Example], rules: BrandRules) -> str:
    counts = count_uses((example.completion for example in examples), rules.words_we_use)
    if not counts:
        return "No word stands out against plain English."
    word = max(counts, key=lambda word: counts[word])
    return (
        f"These stand in your texts far more often than in plain English: “{word}” in "
        f"{counts[word]:,} of {render_count(len(examples), 'text')}."
    )


def _explain_sides(ones: int, others: int, names: tuple[str, str], cases: str) -> str:
    more, name = (ones, names[0]) if ones >= others else (others, names[1])
    total = ones + others
    if total < _CLEAR_CASES:
        return f"Your texts have too few such {cases} to tell ({total})."
    if _choose(ones, others, names):
        return f"{more:,} of {total:,} {cases} that can be told apart have {name}."
    return f"Your texts do both: {ones:,} {cases} have {names[0]}, {others:,} have {names[1]}."


def _explain_exclamations(habits: _Habits, rules: BrandRules) -> str:
    most = rules.exclamation_marks_at_most
    if most is None:
        most = 0
    inside = sum(count <= most for count in habits.exclamations)
    allowed = f"at most {render_count(most, 'exclamation mark')}" if most else "no exclamation mark"
    return f"{_render_share(inside, len(habits.exclamations), 'texts')} have {allowed}."


def _explain_emoji(habits: _Habits, texts: int) -> str:
    if not habits.texts_with_emoji:
        return f"None of your {render_count(texts, 'text')} has an emoji."
    return f"{habits.texts_with_emoji:,} of your {render_count(texts, 'text')} have emoji."


def _explain_grade(grades: Sequence[float]) -> str:
    if not grades:
        return "Your texts are too short, or not in English, to tell how hard they are to read."
    middle, high = _find_percentile(grades, 0.5), _find_percentile(grades, _HIGH)
    return f"Half of your texts suit school year {middle:.0f} or lower, 19 of 20 year {high:.0f} or lower."


def _render_share(inside: int, total: int, texts: str) -> str:
    """ "All of your texts", "9 of 10 of your texts"; a share is never rounded up to all."""
    if inside == total:
        return f"All of your {texts}"
    tenths = floor(10 * inside / total)
    return f"{tenths} of 10 of your {texts}" if tenths else f"{inside:,} of {total:,} of your {texts}"
