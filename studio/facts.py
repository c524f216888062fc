"""What a text claims and whether the brief says so: its prompt, or the project's fact sheet.

Equal claims are found however they are written (`claims.py`). Whether a fact is true is not known here, only
whether it was given; a claim in plain words without number or name ("the lightest of all") is not noticed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from engine.contract.brand import MAX_FACTS, Fact
from engine.contract.failures import EngineFailure
from studio.amounts import find_amounts
from studio.claims import Amount, Claim, Contact, Day, Name, Value, hide
from studio.contacts import find_links, find_places, normalise_contacts
from studio.dates import find_dates, find_times
from studio.names import find_names, strip_possessive
from studio.prose import Prose, read_prose
from studio.table import Table

_DIGIT = re.compile(r"\d")
_FACT_NAME_CHARACTERS = 200
_FACT_VALUE_CHARACTERS = 2_000


def find_claims(text: str) -> list[Claim]:
    """Numbers, prices, dates, times, percentages, measures, names, addresses and links, in their order."""
    return find_claims_in(read_prose(text))


def find_claims_in(prose: Prose) -> list[Claim]:
    found = _find_literal(prose, with_ordinary=False)
    found += find_names(prose, tuple(found))
    return sorted(found, key=lambda claim: claim.start)


def find_unsupported(text: str, prompt: str, facts: Sequence[Fact]) -> list[Claim]:
    """The claims of a text that stand neither in its prompt nor in the fact sheet."""
    return find_unsupported_in(read_prose(text), Brief(prompt), read_fact_sheet(facts))


def find_unsupported_in(prose: Prose, *briefs: "Brief") -> list[Claim]:
    return [
        claim
        for claim in find_claims_in(prose)
        if not all(any(brief.says(value) for brief in briefs) for value in claim.values)
    ]


def read_fact_sheet(facts: Iterable[Fact]) -> "Brief":
    return Brief("\n".join(f"{fact.name}: {fact.value}" for fact in facts))


def read_facts(table: Table) -> list[Fact]:
    """The first two columns as name and value; a row without a value is left out, nothing else is.

    Raises EngineFailure where a table cannot be a fact sheet.
    """
    if len(table.columns) < 2:
        raise EngineFailure(
            "bad_request",
            "A fact sheet needs two columns: what it is about, and what is true of it.",
            "Nothing was changed.",
            "Put “Delivery” in the first column and “3 to 5 working days” in the second, for example.",
        )
    rows = [(row.cells[0].strip(), row.cells[1].strip(), row.number) for row in table.rows]
    filled = [row for row in rows if row[1]]
    _check_facts(filled)
    return [Fact(name=name, value=value) for name, value, _ in filled]


def _check_facts(rows: Sequence[tuple[str, str, int]]) -> None:
    if len(rows) > MAX_FACTS:
        raise EngineFailure(
            "bad_request",
            f"The fact sheet has {len(rows):,} rows; at most {MAX_FACTS:,} can be used.",
            "Nothing was changed.",
            "Keep the facts that your texts speak of.",
        )
    for name, value, row in rows:
        if len(name) > _FACT_NAME_CHARACTERS or len(value) > _FACT_VALUE_CHARACTERS:
            raise EngineFailure(
                "bad_request",
                f"Row {row} of the fact sheet is too long: a name may have {_FACT_NAME_CHARACTERS} "
                f"characters, a fact {_FACT_VALUE_CHARACTERS:,}.",
                "Nothing was changed.",
                "Split it into several rows.",
            )


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
        return _find_literal(self._prose, with_ordinary=True)

    @cached_property
    def _values(self) -> list[Value]:
        return [value for claim in self._claims for value in claim.values]

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(strip_possessive(word.lower) for word in self._prose.words)

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


def _find_literal(prose: Prose, with_ordinary: bool) -> list[Claim]:
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
