"""From a small table to a project's facts: what it is about, and what is true of it.

Cells keep their text but for spaces around it. Does not know what facts are used for (`brief.py`).
"""

from collections.abc import Sequence

from engine.contract.brand import MAX_FACTS, Fact
from engine.contract.failures import EngineFailure
from studio.table import Table

_NAME_CHARACTERS = 200
_VALUE_CHARACTERS = 2_000
# A first row with one of these names the columns; any other is a fact of its own.
_HEADINGS = frozenset(
    str.split(
        """
fact facts name value topic item key what detail details information info description answer question
subject label property attribute field text content true term meaning column
"""
    )
)


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
    if table.has_header and not _are_headings(table.columns[:2]):
        rows.insert(0, (table.columns[0].strip(), table.columns[1].strip(), 1))
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
        if len(name) > _NAME_CHARACTERS or len(value) > _VALUE_CHARACTERS:
            raise EngineFailure(
                "bad_request",
                f"Row {row} of the fact sheet is too long: a name may have {_NAME_CHARACTERS} "
                f"characters, a fact {_VALUE_CHARACTERS:,}.",
                "Nothing was changed.",
                "Split it into several rows.",
            )


def _are_headings(names: Sequence[str]) -> bool:
    return any(word in _HEADINGS for name in names for word in name.lower().split())
