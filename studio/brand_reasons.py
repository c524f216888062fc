"""Why a rule is suggested, in words and with the true figures of the examples.

Does not know how rules are chosen (`brand_suggestions.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from engine.contract.brand import BrandRules, LengthBand
from engine.contract.records import Example
from studio.brand import count_uses
from studio.habits import CLEAR_CASES, HIGH, Habits, choose_side, count_habits, find_percentile
from studio.kinds import is_of_kind
from studio.prose import read_prose
from studio.wording import render_count, render_list

_WORDS_NAMED = 3


@dataclass(frozen=True)
class Reason:
    """Why a rule is suggested, or why none is."""

    rule: str
    text: str


def explain_suggestions(examples: Sequence[Example], rules: BrandRules) -> list[Reason]:
    """What the examples say to each rule, whether it was set by them, by the person, or left open."""
    if not examples:
        return []
    habits = count_habits([read_prose(example.completion) for example in examples])
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
    foremost = sorted(counts, key=lambda word: -counts[word])[:_WORDS_NAMED]
    named = render_list([f"“{word}” in {counts[word]:,}" for word in foremost])
    return (
        "These stand in your texts far more often than in plain English: "
        f"{named} of {render_count(len(examples), 'text')}."
    )


def _explain_sides(ones: int, others: int, names: tuple[str, str], cases: str) -> str:
    more, name = (ones, names[0]) if ones >= others else (others, names[1])
    total = ones + others
    if total < CLEAR_CASES:
        return f"Your texts have too few such {cases} to tell ({total})."
    if choose_side(ones, others, names):
        return f"{more:,} of {total:,} {cases} that can be told apart have {name}."
    return f"Your texts do both: {ones:,} {cases} have {names[0]}, {others:,} have {names[1]}."


def _explain_exclamations(habits: Habits, rules: BrandRules) -> str:
    most = rules.exclamation_marks_at_most or 0
    inside = sum(count <= most for count in habits.exclamations)
    allowed = f"at most {render_count(most, 'exclamation mark')}" if most else "no exclamation mark"
    return f"{_render_share(inside, len(habits.exclamations), 'texts')} have {allowed}."


def _explain_emoji(habits: Habits, texts: int) -> str:
    if not habits.texts_with_emoji:
        return f"None of your {render_count(texts, 'text')} has an emoji."
    return f"{habits.texts_with_emoji:,} of your {render_count(texts, 'text')} have emoji."


def _explain_grade(grades: Sequence[float]) -> str:
    if not grades:
        return "Your texts are too short, or not in English, to tell how hard they are to read."
    middle, high = find_percentile(grades, 0.5), find_percentile(grades, HIGH)
    return f"Half of your texts suit school year {middle:.0f} or lower, 19 of 20 year {high:.0f} or lower."


def _render_share(inside: int, total: int, texts: str) -> str:
    """ "All of your texts", "9 of 10 of your texts"; a share is never rounded up to all."""
    if inside == total:
        return f"All of your {texts}"
    tenths = floor(10 * inside / total)
    return f"{tenths} of 10 of your {texts}" if tenths else f"{inside:,} of {total:,} of your {texts}"
