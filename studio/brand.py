"""Holds any text against a brand's rules and facts: examples, answers and reports, all by one function.

Texts are never altered. Does not know how a rule looks for what it forbids (`rule_checks.py`), nor how rules
are suggested from examples (`brand_suggestions.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.contract.brand import Brand
from engine.contract.records import Example, Finding, Record, Severity
from studio.prose import Prose, read_prose
from studio.rule_checks import RULE_CHECKS, CheckedText, ReadyRules, Remark, make_ready
from studio.word_lists import build_word_list, find_listed
from studio.wording import render_list, render_rows

__all__ = ["Remark", "check_examples_by_rules", "check_text", "count_uses"]

_BRANDS_KEPT_READY = 8
_WORDS_NAMED = 5
# Rule -> severity, message, remedy of the rows that break it.
_FINDINGS: dict[str, tuple[Severity, str, str]] = {
    "words-we-never-use": (
        "warning",
        "Words that you never use stand in {rows}, such as “{sample}”. The model would learn to use them.",
        "Put other words in their place, or take them off your list.",
    ),
    "spelling": (
        "warning",
        "The spelling in {rows} is not the one you chose, such as “{sample}”. The model would learn both.",
        "Correct these words.",
    ),
    "exclamation-marks": (
        "note",
        "There are more exclamation marks in {rows} than you allow.",
        "Take some out, or allow more.",
    ),
    "oxford-comma": (
        "note",
        "The comma before the last “and” of a list is not set in {rows} as you chose.",
        "Set it alike everywhere, or leave this rule open.",
    ),
    "emoji": (
        "note",
        "There are emoji in {rows}, such as “{sample}”, though you use none.",
        "Take them out, or allow them.",
    ),
    "length": (
        "note",
        "The text in {rows} is shorter or longer than your rules say.",
        "Shorten or lengthen it, or widen the length in your rules.",
    ),
    "reading-grade": (
        "note",
        "The text in {rows} is harder to read than your rules say.",
        "Use shorter sentences and words, or raise the reading level.",
    ),
    "facts": (
        "note",
        "Facts in {rows} stand neither in the prompt nor in your fact sheet, such as “{sample}”. "
        "The model would learn to make up facts.",
        "Name them in the prompt or in the fact sheet, or take them out of the text.",
    ),
}


def check_text(text: str, brand: Brand, prompt: str = "") -> list[Remark]:
    """All that a text breaks of a brand's rules, in the order of the text. Any text will do."""
    return _check(read_prose(text), _make_ready(_Same(brand)), prompt)


class Breaches(Record):
    """What examples break of a brand's rules; of many examples, a part at a time."""

    samples: dict[str, dict[int, str]]
    """By rule and row: the first place in the text that breaks it."""
    used: set[str]
    """The words we use that stand in some text."""


def check_examples_by_rules(examples: Sequence[Example], brand: Brand) -> list[Finding]:
    """One finding for each rule that examples break, naming their rows."""
    if not examples:
        return []
    return conclude([find_breaches(examples, brand, has_briefs(examples))], brand)


def has_briefs(examples: Sequence[Example]) -> bool:
    """Where all examples answer one prompt, it is no brief: facts are held against the fact sheet alone."""
    return len({example.prompt for example in examples}) > 1


def find_breaches(examples: Sequence[Example], brand: Brand, has_briefs: bool) -> Breaches:
    ready = _make_ready(_Same(brand))
    found = Breaches(samples={rule: {} for rule in _FINDINGS}, used=set())
    wanted = build_word_list(brand.rules.words_we_use)
    unused = _wanted_words(brand)
    for example in examples:
        prose = read_prose(example.completion)
        for remark in _check(prose, ready, example.prompt, has_briefs):
            sample = example.completion[remark.start : remark.end]
            found.samples[remark.rule].setdefault(example.row, sample)
        for hit in find_listed(prose, wanted) if unused else ():
            if unused.pop(hit.listed, None):
                found.used.add(hit.listed)
    return found


def conclude(parts: Sequence[Breaches], brand: Brand) -> list[Finding]:
    """The findings about all examples, of which each part tells of some, in their order."""
    findings = []
    for rule in _FINDINGS:
        samples = {row: sample for part in parts for row, sample in part.samples.get(rule, {}).items()}
        if samples:
            findings.append(_build_finding(rule, samples))
    used = {word for part in parts for word in part.used}
    return [*findings, *_name_unused([word for word in _wanted_words(brand) if word not in used])]


def _wanted_words(brand: Brand) -> dict[str, str]:
    return {word.strip(): word for word in brand.rules.words_we_use}


def count_uses(texts: Iterable[str], words: Sequence[str]) -> dict[str, int]:
    """In how many of the texts each word or phrase stands, in whatever form."""
    ready = build_word_list(words)
    counts = {word.strip(): 0 for word in words}
    for text in texts:
        for listed in {hit.listed for hit in find_listed(read_prose(text), ready)}:
            counts[listed] += 1
    return counts


@dataclass(frozen=True, eq=False)
class _Same:
    """A brand as a key: hashing two thousand facts takes longer than checking a text."""

    brand: Brand

    def __hash__(self) -> int:
        return id(self.brand)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.brand is self.brand


@lru_cache(maxsize=_BRANDS_KEPT_READY)
def _make_ready(same: _Same) -> ReadyRules:
    return make_ready(same.brand)


def _check(prose: Prose, ready: ReadyRules, prompt: str, is_brief: bool = True) -> list[Remark]:
    checked = CheckedText(prose, prompt, is_brief)
    remarks = [remark for check in RULE_CHECKS for remark in check(checked, ready)]
    return sorted(remarks, key=lambda remark: (remark.start, remark.end))


def _build_finding(rule: str, samples: dict[int, str]) -> Finding:
    severity, message, remedy = _FINDINGS[rule]
    rows = list(samples)
    text = message.format(rows=render_rows(rows), sample=samples[rows[0]])
    return Finding(severity=severity, kind=f"brand-{rule}", rows=rows, message=text, remedy=remedy)


def _name_unused(unused: Sequence[str]) -> list[Finding]:
    """Words we use are wanted in the voice, not in each text: only those are named that no example has."""
    if not unused:
        return []
    named = [f"“{word}”" for word in unused[:_WORDS_NAMED]]
    more = [f"{len(unused) - _WORDS_NAMED} more"] if len(unused) > _WORDS_NAMED else []
    return [
        Finding(
            severity="note",
            kind="brand-words-we-use",
            message=f"Words that you use stand in no example: {render_list([*named, *more])}.",
            remedy="A model learns words from examples: add some with them, or take them off the list.",
        )
    ]
