"""What a brief says: the values that a prompt or a fact sheet holds, in whatever way they are written.

A brief is read when it is first asked, since most texts claim nothing. Does not know which text relies on it.
"""

import re
from dataclasses import dataclass
from functools import cached_property, partial

from studio.amounts import find_amounts
from studio.contacts import find_links, find_places, normalise_contacts
from studio.dates import find_dates, find_times
from studio.fact_claims import Amount, Claim, Contact, Day, Name, Value, hide
from studio.names import strip_possessive
from studio.prose import Prose, read_prose

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Brief:
    """A text that may be relied on. What it says is read when first asked for."""

    text: str

    def says(self, value: Value) -> bool:
        match value:
            case Amount():
                return self._says_amount(value)
            case Day():
                return self._says_day(value)
            case Name():
                return self._says_name(value.word)
            case Contact():
                return f" {value.text} " in self._contacts or value.text in self._contact_values

    def _says_amount(self, amount: Amount) -> bool:
        """A number alone may be any of the brief's; with a unit it needs the same, or one without."""
        if not amount.unit:
            return amount.plain in self._numbers
        return (amount.unit, amount.size) in self._measures or ("", amount.plain) in self._measures

    def _says_day(self, day: Day) -> bool:
        ways = [day, Day(day.year, day.day, day.month)] if day.swaps else [day]
        return any(_agree(way, known, str(way.year) in self._numbers) for way in ways for known in self._days)

    def _says_name(self, word: str) -> bool:
        """Singular and plural count as one: "Boots" stands in a brief of a "boot"."""
        return any(form in self._words for form in (word, word + "s", word.removesuffix("s"), word + "es"))

    @cached_property
    def _prose(self) -> Prose:
        return read_prose(self.text)

    @cached_property
    def _claims(self) -> list[Claim]:
        return find_literal_claims(self._prose, with_ordinary=True)

    @cached_property
    def _values(self) -> list[Value]:
        return [value for claim in self._claims for value in claim.values]

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(map(strip_possessive, self._prose.lower))

    @cached_property
    def _measures(self) -> frozenset[tuple[str, str]]:
        return frozenset((value.unit, value.size) for value in self._values if isinstance(value, Amount))

    @cached_property
    def _numbers(self) -> frozenset[str]:
        plain = {value.plain for value in self._values if isinstance(value, Amount)}
        dated = {str(part) for value in self._days for part in (value.year, value.day) if part}
        return frozenset(plain | dated)

    @cached_property
    def _days(self) -> list[Day]:
        days = [value for value in self._values if isinstance(value, Day)]
        return days + [Day(day.year, day.day, day.month) for day in days if day.swaps]

    @cached_property
    def _contacts(self) -> str:
        return normalise_contacts(self.text)

    @cached_property
    def _contact_values(self) -> frozenset[str]:
        return frozenset(value.text for value in self._values if isinstance(value, Contact))


def _agree(claimed: Day, known: Day, is_year_known: bool) -> bool:
    """What the claim says of a day, the brief must say of the same."""
    is_year_right = claimed.year in (0, known.year) or (is_year_known and not known.year)
    return is_year_right and claimed.month == known.month and claimed.day in (0, known.day)


def find_literal_claims(prose: Prose, with_ordinary: bool) -> list[Claim]:
    """All but names. Each kind hides what it found from the next, which would read it otherwise."""
    text = prose.text
    found = find_links(text)
    text = hide(text, found)
    if _DIGIT.search(text):
        for find in (partial(find_dates, words=prose.vocabulary), find_times, find_places):
            claims = find(text)
            text = hide(text, claims)
            found += claims
    return found + find_amounts(text, prose.vocabulary, with_ordinary)
