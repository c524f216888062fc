"""Numbers as a person says them: "about 4–6 minutes", "1.2 GB", "less than a cent", "rows 3, 7 and 12".

Every function takes plain numbers and gives text. It does not know what is counted, nor where it is shown.
"""

from collections.abc import Sequence

# Up to here the smaller unit reads better: "about 80 seconds", "about 75 minutes".
_SECONDS_SHOWN_UP_TO = 90
_MINUTES_SHOWN_UP_TO = 90
_ROWS_NAMED = 5
# What people call a hundredth of their money; other currencies are said as amounts.
_CENTS = {"€": "a cent", "EUR": "a cent", "$": "a cent", "USD": "a cent", "£": "a penny", "GBP": "a penny"}
# Below so many words, rounded to so many.
_WORD_STEPS = ((20, 1), (1_000, 10), (2_000, 100), (10_000, 500), (float("inf"), 1_000))
_IRREGULAR = {"reply": "replies", "entry": "entries", "copy": "copies"}


def render_duration(seconds: float) -> str:
    """One length of time, rounded as a person would: "about 40 seconds", "about 3 minutes"."""
    return render_duration_range((seconds, seconds))


def render_duration_range(seconds_range: tuple[float, float]) -> str:
    """A range of times in one unit: "about 4–6 minutes". Ends that round to the same are said once."""
    low, high = sorted(max(end, 0.0) for end in seconds_range)
    if high < 5:
        return "a few seconds"
    if high <= _SECONDS_SHOWN_UP_TO:
        return f"about {_span(_round_to(low, 5), _round_to(high, 5))} seconds"
    if high <= _MINUTES_SHOWN_UP_TO * 60:
        return _minutes(low / 60, high / 60)
    return _hours(low / 3600, high / 3600)


def render_bytes(count: float) -> str:
    """Decimal units, as file managers and shops use them: "0.4 MB", "86 MB", "1.2 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        # 0.95 of the next unit already rounds to one of it.
        if count >= 0.95 * size:
            amount = count / size
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    return render_count(int(count), "byte")


def render_money_range(amounts: tuple[float, float], currency: str) -> str:
    """A range of costs: "nothing", "less than a cent", "about €0.02–0.05", "about €3–5"."""
    low, high = sorted(max(end, 0.0) for end in amounts)
    if high == 0:
        return "nothing"
    if high < 0.01:
        return f"less than {_CENTS.get(currency) or _with_currency('0.01', currency)}"
    digits = 2 if high < 10 else 0
    ends = [f"{end:.{digits}f}" for end in (low, high)]
    if float(ends[0]) == 0:
        return f"up to {_with_currency(ends[1], currency)}"
    return f"about {_with_currency(_span_text(ends[0], ends[1]), currency)}"


def render_count(count: int, noun: str) -> str:
    """A number with its noun: "1 example", "1,204 examples"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {_IRREGULAR.get(noun, noun + 's')}"


def render_words(tokens: int) -> str:
    """Tokens as English words, three quarters of a word each, rounded as a person would: "6,000"."""
    words = 0.75 * tokens
    step = next(step for limit, step in _WORD_STEPS if words < limit)
    return f"{round(words / step) * step:,}"


def render_percent(share: float) -> str:
    """A share of one as whole percent; what is small but not nothing is "less than 1 %"."""
    percent = round(100 * share)
    if percent == 0 and share > 0:
        return "less than 1\N{NO-BREAK SPACE}%"
    return f"{percent}\N{NO-BREAK SPACE}%"


def render_rows(rows: Sequence[int]) -> str:
    """Rows of a spreadsheet: "row 4", "rows 3, 7 and 12", "rows 3, 7, 12, 19, 20 and 38 more"."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > _ROWS_NAMED + 1:
        named = ", ".join(str(row) for row in rows[:_ROWS_NAMED])
        return f"rows {named} and {len(rows) - _ROWS_NAMED:,} more"
    return f"rows {render_list([str(row) for row in rows])}"


def render_list(words: Sequence[str], last: str = "and") -> str:
    """Words as a sentence lists them: "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _minutes(low: float, high: float) -> str:
    span = _span(_round_to(low, 1), _round_to(high, 1))
    return "about a minute" if span == "1" else f"about {span} minutes"


def _hours(low: float, high: float) -> str:
    # Half hours up to five: beyond that nobody plans by them.
    step = 0.5 if high < 5 else 1.0
    ends = [max(step, _round_to(end, step)) for end in (low, high)]
    span = _span_text(f"{ends[0]:g}", f"{ends[1]:g}")
    return "about an hour" if span == "1" else f"about {span} hours"


def _round_to(value: float, step: float) -> float:
    """Half goes up, as people round; never below one step."""
    return max(step, int(value / step + 0.5) * step)


def _span(low: float, high: float) -> str:
    return _span_text(f"{low:g}", f"{high:g}")


def _span_text(low: str, high: str) -> str:
    return high if low == high else f"{low}–{high}"


def _with_currency(amount: str, currency: str) -> str:
    """Signs stand before the amount, letters after it."""
    return f"{amount} {currency}" if currency.isalpha() else f"{currency}{amount}"
