"""Which record of a table names its columns: the first, one below a title, or none.

Does not know what the columns are for.
"""

import re
from collections import Counter
from dataclasses import dataclass

from engine.contract.records import Finding
from studio.cells import Record
from studio.column_names import is_known_name
from studio.wording import render_list

_TITLE_ROWS_AT_MOST = 20
_WIDTHS_READ = 200
# Names of columns are shorter than sentences; both limits are generous for "Product description (max. 50)".
_NAME_WORDS = 5
_NAME_CHARACTERS = 60
_NUMBER = re.compile(r"[-+]?[\d.,]+\s*%?")


@dataclass(frozen=True)
class Header:
    """`cells` is empty if the table has no header; `after` is the index of the first record below it."""

    cells: list[str]
    after: int
    findings: tuple[Finding, ...] = ()


def find_header(records: list[Record]) -> Header:
    """Look for the record that names the columns; blank and title rows above it are passed over."""
    first = next((index for index, record in enumerate(records) if _filled(record) > 0), None)
    if first is None:
        return Header([], 0)
    titled = _find_below_title(records, first)
    if titled is not None:
        skipped = _title_finding(records[first:titled])
        return Header(
            records[titled].cells, titled + 1, (skipped, *_duplicate_findings(records[titled].cells))
        )
    if _is_header(records[first].cells):
        return Header(records[first].cells, first + 1, _duplicate_findings(records[first].cells))
    return Header([], first, (_no_header_finding(),))


def name_columns(header: list[str], rows: list[list[str]]) -> tuple[str, ...]:
    """One name per column, all different; nameless columns are numbered, empty ones at the end dropped."""
    width = len(header) or _common_width(rows)
    while width > 1 and not any(cells[width - 1].strip() for cells in (header, *rows) if len(cells) >= width):
        width -= 1
    names: list[str] = []
    for position in range(width):
        name = " ".join(header[position].split()) if position < len(header) else ""
        names.append(_unique(name or f"Column {position + 1}", names))
    return tuple(names)


def _unique(name: str, taken: list[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name} ({count})"
    return candidate


def _common_width(rows: list[list[str]]) -> int:
    widths = Counter(len(cells) for cells in rows)
    return max(widths, key=lambda width: (widths[width], width), default=1)


def _filled(record: Record) -> int:
    return sum(bool(cell.strip()) for cell in record.cells)


def _find_below_title(records: list[Record], first: int) -> int | None:
    """The first record about as wide as the table, if there are narrower ones above it."""
    width = _common_width([record.cells for record in records[:_WIDTHS_READ]])
    for index in range(first, min(first + _TITLE_ROWS_AT_MOST, len(records))):
        record = records[index]
        if _filled(record) > 1 and 2 * len(record.cells) > width:
            return index if index > first and _is_header(record.cells) else None
        if any(is_known_name(cell) for cell in record.cells) or (
            _filled(record) and not record.cells[0].strip()
        ):
            return None
    return None


def _is_header(cells: list[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    if any(is_known_name(cell) for cell in filled):
        return True
    looks_like_data = _NUMBER.fullmatch(cells[0].strip()) is not None or any(
        _is_sentence(cell) for cell in filled
    )
    return not looks_like_data and any(letter.isalpha() for cell in filled for letter in cell)


def _is_sentence(cell: str) -> bool:
    words = len(cell.split())
    return (
        len(cell) > _NAME_CHARACTERS
        or words > _NAME_WORDS
        or ", " in cell
        or (words > 2 and cell[-1] in ".!?…")
    )


def _no_header_finding() -> Finding:
    return Finding(
        severity="note",
        kind="no-header",
        message="The first row looks like an example, not like names of columns, so the columns "
        "were numbered.",
        remedy="If it is a header after all, give the columns short names such as “Prompt” and “Text”.",
    )


def _title_finding(rows: list[Record]) -> Finding:
    return Finding(
        severity="note",
        kind="title-rows",
        rows=[row.number for row in rows],
        message="The lines above the names of the columns were taken for a title and left out.",
    )


def _duplicate_findings(header: list[str]) -> tuple[Finding, ...]:
    counts = Counter(" ".join(cell.split()) for cell in header if cell.strip())
    names = [f"“{name}”" for name, count in counts.items() if count > 1]
    if not names:
        return ()
    return (
        Finding(
            severity="note",
            kind="duplicate-columns",
            message=f"More than one column is called {render_list(names)}; the later ones were numbered.",
            remedy="Check that the right one was chosen.",
        ),
    )
