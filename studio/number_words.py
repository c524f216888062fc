"""Numbers in digits and in words: "1,000", "1 000", "one thousand" and "1k" are 1000.

A decimal comma is understood where three digits do not follow it. Does not know what is counted.
"""

import re

_UNITS = str.split(
    """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
"""
)
_UNITS += ["seventeen", "eighteen", "nineteen"]
_TENS = str.split(
    """
twenty thirty forty fifty sixty seventy eighty ninety
"""
)
_VALUES = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * place for place, word in enumerate(_TENS, 2)
}
_SCALES = {"hundred": 100, "dozen": 12, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_SHORT_SCALES = {"k": 1_000, "m": 1_000_000, "mn": 1_000_000, "bn": 1_000_000_000} | _SCALES
NUMBER_WORDS = frozenset([*_VALUES, *_SCALES])
_ANY = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d+)*"
# Looked at first, so that most places of a text need not be held against every word.
_BEGINS = f"(?=[{''.join(sorted({word[0] for word in NUMBER_WORDS}))}])"
WORDS = rf"\b{_BEGINS}(?:{_ANY})(?:(?:[ -]|(?:(?<=hundred)|(?<=thousand)|(?<=million)),? and )(?:{_ANY}))*\b"
SCALE = r"[ -]?(?:million|billion|thousand|hundred|bn|mn|k)\b"
_THOUSANDS = re.compile(r"[\d]{1,3}(?:[,\s]\d{3})+(?:\.\d+)?")
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}\.\d{3},\d+")


def read_number(written: str) -> float | None:
    """The value of what DIGITS or WORDS found; None for such as "1.2.3", which is no number."""
    if not written[:1].isdigit():
        return _read_words(written.lower())
    if _THOUSANDS.fullmatch(written):
        plain = re.sub(r"[,\s]", "", written)
    elif _POINTS.fullmatch(written):
        plain = written.replace(".", "").replace(",", ".")
    else:
        plain = written.replace(",", ".")
    try:
        return float(plain)
    except ValueError:
        return None


def read_scale(written: str) -> float:
    return _SHORT_SCALES.get(written.strip(" -").lower(), 1)


def render_size(value: float) -> str:
    """One form for equal numbers, blind to what floating point adds."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.9g}"


def _read_words(written: str) -> float:
    total, group = 0.0, 0.0
    for word in re.findall(r"[a-z]+", written):
        if word in _VALUES:
            group += _VALUES[word]
        elif word in ("hundred", "dozen"):
            group = max(group, 1) * _SCALES[word]
        elif word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0.0
    return total + group
