"""The rules of a brand, one function each: what it looks for in a text, and what to say about it.

A remark says which rule, where, and why, in the words of the person who set the rule. Does not know examples,
rows or answers: `brand.py` brings texts here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

from engine.contract.brand import Brand, BrandRules
from studio.brief import Brief
from studio.facts import find_unsupported_in, read_fact_sheet
from studio.kinds import find_band
from studio.prose import Prose
from studio.punctuation import find_emoji, find_exclamations, find_lists
from studio.reading_level import find_grade
from studio.spelling import find_other_spelling
from studio.word_lists import WordList, build_word_list, find_listed
from studio.wording import render_count

_HYPHENS = re.compile(r"[\s\u2010-\u2013-]+")


@dataclass(frozen=True)
class Remark:
    """Which rule a text breaks, where (characters), and why."""

    rule: str
    start: int
    end: int
    message: str


@dataclass(frozen=True)
class ReadyRules:
    """A brand made ready for many texts."""

    rules: BrandRules
    never: WordList
    fact_sheet: Brief


@dataclass(frozen=True)
class CheckedText:
    prose: Prose
    prompt: str
    is_brief: bool = True
    """Whether its prompt says what the text may claim."""

    @property
    def text(self) -> str:
        return self.prose.text

    def remark(self, rule: str, message: str, start: int = 0, end: int | None = None) -> Remark:
        return Remark(rule, start, len(self.text) if end is None else end, message)


def make_ready(brand: Brand) -> ReadyRules:
    return ReadyRules(
        brand.rules, build_word_list(brand.rules.words_we_never_use), read_fact_sheet(brand.facts)
    )


def check_length(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    """Characters are spoken of only where the words are right: one remark is enough."""
    band = find_band(checked.prompt, ready.rules.length_bands)
    if band is None:
        return
    words, characters = len(checked.text.split()), len(checked.text)
    where = f" where the prompt begins with “{band.kind}”" if band.kind else ""
    if not band.least_words <= words <= band.most_words:
        wanted = f"{band.least_words:,} to {band.most_words:,}"
        message = f"This text has {render_count(words, 'word')}; your rules say {wanted}{where}."
        yield checked.remark("length", message)
    elif not band.least_characters <= characters <= band.most_characters:
        wanted = f"{band.least_characters:,} to {band.most_characters:,}"
        message = f"This text has {render_count(characters, 'character')}; your rules say {wanted}{where}."
        yield checked.remark("length", message)


def check_never(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    for listed, start, end in find_listed(checked.prose, ready.never):
        found = checked.text[start:end]
        is_same = _HYPHENS.sub(" ", found.lower()) == _HYPHENS.sub(" ", listed.lower())
        reason = "is" if is_same else f"is another form of “{listed}”, which is"
        message = f"“{found}” {reason} on your list of words never to use."
        yield checked.remark("words-we-never-use", message, start, end)


def check_spelling(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    """Not in names ("Lincoln Center"): a capital inside a sentence keeps a word as it is."""
    wanted = ready.rules.spelling
    if wanted is None or not checked.prose.is_english:
        return
    is_side, other_side = ("British", "American") if wanted == "british" else ("American", "British")
    if not any(map(find_other_spelling, checked.prose.vocabulary, repeat(wanted))):
        return
    for word in checked.prose.words:
        other = find_other_spelling(word.lower, wanted)
        if other and (word.begins or not word.text[0].isupper() or word.text.isupper()):
            other = find_other_spelling(word.text, wanted)
            message = f"“{word.text}” is {other_side} spelling; you write {is_side} English: “{other}”."
            yield checked.remark("spelling", message, word.start, word.end)


def check_exclamations(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    """One remark, at the first that is too many."""
    most = ready.rules.exclamation_marks_at_most
    places = find_exclamations(checked.text)
    if most is None or len(places) <= most:
        return
    allowed = f"you allow {most} in a text" if most else "you use none"
    message = f"This text has {render_count(len(places), 'exclamation mark')}; {allowed}."
    yield checked.remark("exclamation-marks", message, *places[most])


def check_oxford_comma(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    wanted = ready.rules.oxford_comma
    if wanted is None or not checked.prose.is_english:
        return
    for (start, end), has_comma in find_lists(checked.text):
        if has_comma == (wanted == "always"):
            continue
        word = checked.text[start + has_comma :].split(maxsplit=1)[0]
        there = "There is a comma" if has_comma else "A comma is missing"
        message = f"{there} before the last “{word}” of a list; you {wanted} put one there."
        yield checked.remark("oxford-comma", message, start, end)


def check_emoji(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    if ready.rules.emoji != "never":
        return
    for start, end in find_emoji(checked.text):
        message = f"“{checked.text[start:end]}” is an emoji; you use none."
        yield checked.remark("emoji", message, start, end)


def check_reading_grade(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    most = ready.rules.reading_grade_at_most
    if most is None:
        return
    grade = find_grade(checked.prose)
    if grade is not None and grade > most:
        message = (
            f"This text is as hard to read as one for school year {grade:.0f}; "
            f"your rules say {most:g} at most. "
            "Shorter sentences and shorter words make it easier."
        )
        yield checked.remark("reading-grade", message)


def check_facts(checked: CheckedText, ready: ReadyRules) -> Iterator[Remark]:
    """Where there is neither a prompt nor a fact sheet, there is no brief to hold a text against."""
    brief = Brief(checked.prompt if checked.is_brief else "")
    if not ready.rules.facts_from_brief or not (brief.text.strip() or ready.fact_sheet.text):
        return
    for claim in find_unsupported_in(checked.prose, brief, ready.fact_sheet):
        yield checked.remark("facts", f"“{claim.text}” is not in your brief.", claim.start, claim.end)


RULE_CHECKS: tuple[Callable[[CheckedText, ReadyRules], Iterator[Remark]], ...] = (
    check_length,
    check_never,
    check_spelling,
    check_exclamations,
    check_oxford_comma,
    check_emoji,
    check_reading_grade,
    check_facts,
)
