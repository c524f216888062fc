"""Numbers of a text with what they count: prices, percentages, measures and plain numbers; ranges as one.

Small numbers in words ("two of you", "one day") are ordinary words unless a unit follows them. Does not know
dates and times of day (`dates.py`) nor what stands in a brief (`facts.py`).
"""

import re
from collections.abc import Iterator

from studio.claims import Amount, Claim, ClaimKind
from studio.number_words import DIGITS, SCALE, WORDS, read_number, read_scale, render_size
from studio.units import CURRENCIES, PREFIX, UNIT, find_unit

_ANY_NUMBER = re.compile(
    rf"(?P<sign>(?:{PREFIX})[ \u00a0]?)?"
    rf"(?:(?<![\w.,])(?<![^\W\d_]-)(?P<digits>{DIGITS})(?P<ordinal>st|nd|rd|th)?|(?P<words>{WORDS}))"
    # "€2m" is money, "2m" a length.
    rf"(?P<scale>(?(sign)(?:{SCALE}|m\b)|{SCALE}))?"
    rf"(?:(?P<gap>[ \u00a0-]?)(?P<unit>{UNIT}))?(?![^\W_])",
    re.IGNORECASE,
)
_HAS_NUMBER = re.compile(rf"\d|{WORDS}", re.IGNORECASE)
# What stands between the ends of a range, the sides of a size, and in "24/7".
_BETWEEN = re.compile(r"\s?[–—-]\s?| (?:to|or) |\s?[x×]\s?|/", re.IGNORECASE)
# Numbers of a list or of its steps claim nothing: "1. Visit our website", "Step 2".
_NUMBERING = re.compile(
    r"(?:^|\n)[ \t]*(?:\d{1,2}[.)](?=\s)|(?:step|part|chapter|day|week) \d{1,2}\b)", re.IGNORECASE
)
_ORDINARY_UP_TO = 10
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


def find_amounts(text: str, with_ordinary: bool = False) -> list[Claim]:
    """All amounts in order; `with_ordinary` also gives small numbers in words, which a brief may hold."""
    if not _HAS_NUMBER.search(text):
        return []
    numbering = {match.end() for match in _NUMBERING.finditer(text)} if not with_ordinary else set()
    found = [
        match
        for match in _ANY_NUMBER.finditer(text)
        if not any(match.start() < end <= match.end() + 1 for end in numbering)
    ]
    claims = (_build_claim(text, group) for group in _join_ranges(text, found))
    return [claim for claim in claims if claim and (with_ordinary or not _is_ordinary(claim))]


def _join_ranges(text: str, matches: list[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    group: list[re.Match[str]] = []
    for match in matches:
        if group and not _are_joined(text, group, match):
            yield group
            group = []
        group.append(match)
    if group:
        yield group


def _are_joined(text: str, group: list[re.Match[str]], match: re.Match[str]) -> bool:
    gap = text[group[-1].end() : match.start()]
    is_between = gap == " and " and text[: group[0].start()].lower().endswith("between ")
    return is_between or bool(_BETWEEN.fullmatch(gap))


def _build_claim(text: str, group: list[re.Match[str]]) -> Claim | None:
    """One claim for one number or for a range, whose ends share sign and unit."""
    units = [_read_unit(match) for match in group]
    shared = next((unit for unit in reversed(units) if unit), None) or ("", 1.0)
    amounts = []
    for match, unit in zip(group, units, strict=True):
        value = read_number(match["digits"] or match["words"])
        if value is None:
            return None
        value *= read_scale(match["scale"] or "")
        dimension, factor = unit or shared
        amounts.append(Amount(dimension, render_size(value * factor), render_size(value)))
    start, end = group[0].start(), group[-1].end()
    return Claim(_find_kind(text[start:end], shared[0]), text[start:end], start, end, tuple(amounts))


def _read_unit(match: re.Match[str]) -> tuple[str, float] | None:
    written = match["unit"] or (match["sign"] or "").strip()
    return find_unit(written) if written else None


def _find_kind(text: str, dimension: str) -> ClaimKind:
    if dimension in CURRENCIES:
        return "price"
    if not dimension:
        return "date" if _YEAR.fullmatch(text) else "number"
    return "percentage" if dimension == "%" else "measure"


def _is_ordinary(claim: Claim) -> bool:
    """Whether a claim in words says no more than "two of you" or "one day" does."""
    if any(letter.isdigit() for letter in claim.text):
        return False
    sizes = [float(value.plain) for value in claim.values if isinstance(value, Amount)]
    if claim.kind == "number":
        return max(sizes) <= _ORDINARY_UP_TO or not claim.text[:1].isalpha() or _is_vague(claim.text)
    return max(sizes) == 1 and "-" not in claim.text


def _is_vague(text: str) -> bool:
    """ "A thousand thanks", "hundreds of", "a dozen": the scale alone is no number."""
    return text.lower() in ("hundred", "thousand", "million", "billion", "dozen")
