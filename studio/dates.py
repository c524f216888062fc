"""Dates and times of day in a text, whichever way they are written: "5 March", "March 5th", "5pm", "17:00".

A month or a weekday alone claims nothing. "5/3/2026" may be read either way. Does not know time zones, nor
words such as "tomorrow".
"""

import re
from collections.abc import Callable, Iterator, Set

from studio.fact_claims import Amount, Claim, Day, Value

_ALL_MONTHS = "january february march april may june july august september october november december"
MONTHS = tuple(_ALL_MONTHS.split())
_MONTH = "|".join([*MONTHS, *(rf"{month[:3]}\b\.?" for month in MONTHS), "sept\\.?"])
# Looked at first: of the letters of a text one in four begins no month, and all names need not be tried.
_BEGINS_MONTH = f"(?=[{''.join(sorted({month[0] for month in MONTHS}))}])"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,? ((?:1[5-9]|20)\d\d)\b)?"
_DAY_FIRST = re.compile(
    rf"\b(?:{_DAY}\s?(?:[–-]|to|and)\s?)?{_DAY}(?: of)? ({_MONTH})(?![^\W_]){_YEAR}", re.IGNORECASE
)
_MONTH_FIRST = re.compile(
    rf"\b{_BEGINS_MONTH}({_MONTH}) {_DAY}(?!\d)(?:\s?(?:[–-]|to|and)\s?{_DAY}(?![\d:]))?{_YEAR}",
    re.IGNORECASE,
)
_MONTH_YEAR = re.compile(rf"\b{_BEGINS_MONTH}({_MONTH}),? ((?:1[5-9]|20)\d\d)\b", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_FIGURES = re.compile(r"(?<![\d/.])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d{2})(?![\d/.]\d)")
_HALF = r"(a\.m\.|am\b|p\.m\.|pm\b)"
_TIME = re.compile(
    rf"(?<![\w.:])(\d{{1,2}})(?:[:.](\d\d))?(?:\s?[–-]\s?(\d{{1,2}})(?:[:.](\d\d))?)?\s?{_HALF}(?!\w)"
    r"|(?<![\w.:])([01]?\d|2[0-3]):([0-5]\d)(?![\w:])",
    re.IGNORECASE,
)
# What every date in figures and every time of day has: most texts have neither.
_FIGURES_HINT = re.compile(r"\d[/.-]\d")
_TIME_HINT = re.compile(r"\d(?::\d|\s?[AaPp]\.?[Mm])")
_MONTH_NAMES = frozenset([*MONTHS, *(month[:3] for month in MONTHS), "sept"])


def find_dates(text: str, words: Set[str]) -> list[Claim]:
    """Dates, in no order; overlapping ones are not given twice. `words` are the text's, in lower case."""
    found: list[Claim] = []
    for pattern, read in _choose_readers(text, words):
        for match in pattern.finditer(text):
            values = read(match)
            is_free = all(match.end() <= claim.start or claim.end <= match.start() for claim in found)
            if values and is_free and all(day.month <= 12 and day.day <= 31 for day in values):
                found.append(Claim("date", match[0], *match.span(), values))
    return found


def find_times(text: str) -> list[Claim]:
    """Times of day as minutes since midnight; "9–5pm" is two of them."""
    if not _TIME_HINT.search(text):
        return []
    return [
        Claim("time", match[0], *match.span(), tuple(_read_times(match))) for match in _TIME.finditer(text)
    ]


def _choose_readers(text: str, words: Set[str]) -> Iterator["_Reader"]:
    """Those that may find something."""
    if _FIGURES_HINT.search(text):
        yield from _FIGURE_READERS
    if not words.isdisjoint(_MONTH_NAMES):
        yield from _MONTH_READERS


def _read_times(match: re.Match[str]) -> Iterator[Value]:
    hour, minute, end_hour, end_minute, half, hour_24, minute_24 = match.groups()
    if hour_24:
        yield _build_time(int(hour_24), minute_24, "")
        return
    yield _build_time(int(hour), minute, half)
    if end_hour:
        yield _build_time(int(end_hour), end_minute, half)


def _build_time(hour: int, minute: str | None, half: str) -> Amount:
    """With "am" or "pm", 12 is the first hour of its half."""
    full = hour % 12 + 12 * half.lower().startswith("p") if half else hour
    return Amount("clock", str(60 * full + int(minute or 0)), str(hour))


def _read_day_first(match: re.Match[str]) -> tuple[Day, ...]:
    first, last, month, year = match.groups()
    return _build_days(year, month, first, last)


def _read_month_first(match: re.Match[str]) -> tuple[Day, ...]:
    month, first, last, year = match.groups()
    if month == "may":  # "You may 5 times": the month is written with a capital.
        return ()
    return _build_days(year, month, first, last)


def _build_days(year: str | None, month: str, *days: str | None) -> tuple[Day, ...]:
    return tuple(Day(int(year or 0), _find_month(month), int(day)) for day in days if day)


def _read_figures(match: re.Match[str]) -> tuple[Day, ...]:
    day, month, year = int(match[1]), int(match[3]), int(match[4])
    year += 2000 if year < 100 else 0
    if month > 12:
        day, month = month, day
    return (Day(year, month, day, swaps=day <= 12),)


def _find_month(written: str) -> int:
    return next(place for place, month in enumerate(MONTHS, 1) if month.startswith(written[:3].lower()))


_Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[Day, ...]]]
_FIGURE_READERS: tuple[_Reader, ...] = (
    (_ISO, lambda match: (Day(int(match[1]), int(match[2]), int(match[3])),)),
    (_FIGURES, _read_figures),
)
_MONTH_READERS: tuple[_Reader, ...] = (
    (_DAY_FIRST, _read_day_first),
    (_MONTH_FIRST, _read_month_first),
    (_MONTH_YEAR, lambda match: (Day(int(match[2]), _find_month(match[1]), 0),)),
)
