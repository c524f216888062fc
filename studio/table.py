"""From the bytes of an uploaded file to a table: columns, rows and what was odd about them.

Every cell keeps its text exactly; "NA", "007" and spaces are text like any other. Rows bear the numbers a
spreadsheet shows. Does not know prompts or completions (`columns.py`), nor what makes a good example.
"""

import random
from dataclasses import dataclass
from typing import Literal

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_EXAMPLES, Finding
from studio.cells import Record, Sheet, read_cells
from studio.decoding import read_text
from studio.header import find_header, name_columns
from studio.wording import render_bytes, render_rows

MAX_FILE_BYTES = 25 * 2**20
Limit = Literal["first", "sample"]
"""What to do with a table of too many rows: take its first ones, or some from everywhere."""
_NOTHING_CHANGED = "Nothing was changed."


@dataclass(frozen=True)
class Row:
    """One record; it has exactly as many cells as the table has columns."""

    number: int
    """As a spreadsheet counts: a header in the first line is row 1."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    """All different; a column without a name is "Column 3"."""
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    encoding: str
    delimiter: str
    has_header: bool

    def column(self, name: str) -> list[str]:
        position = self.columns.index(name)
        return [row.cells[position] for row in self.rows]


def read_table(data: bytes, file_name: str, limit: Limit | None = None) -> Table:
    """Read any table of text. Raises EngineFailure: `too_many_examples` if a `limit` would help."""
    _check_size(data, file_name)
    decoded = read_text(data)
    sheet = read_cells(decoded.text, at_most=None if limit == "sample" else MAX_EXAMPLES)
    header = find_header(sheet.records)
    filled = [
        record for record in sheet.records[header.after :] if any(cell.strip() for cell in record.cells)
    ]
    _check_rows(len(filled), sheet, file_name, limit)
    kept = _take(filled, limit)
    columns = name_columns(header.cells, [record.cells for record in kept])
    rows, findings = _fit_rows(kept, len(columns), sheet.delimiter)
    all_findings = (
        *decoded.findings,
        *sheet.findings,
        *header.findings,
        *_limit_findings(filled, kept, sheet),
        *findings,
    )
    return Table(columns, rows, all_findings, decoded.encoding, sheet.delimiter, bool(header.cells))


def _check_size(data: bytes, file_name: str) -> None:
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” is empty.",
            _NOTHING_CHANGED,
            "Choose a CSV file with one example per row.",
        )
    if len(data) > MAX_FILE_BYTES:
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” has {render_bytes(len(data))}; a file may have up to "
            f"{render_bytes(MAX_FILE_BYTES)}.",
            _NOTHING_CHANGED,
            f"Save the best rows, at most {MAX_EXAMPLES:,}, as a smaller CSV file and upload that.",
        )


def _check_rows(filled: int, sheet: Sheet, file_name: str, limit: Limit | None) -> None:
    if filled == 0:
        unreadable = " ".join(finding.message for finding in sheet.findings if finding.severity == "error")
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” has no rows of examples. {unreadable}".strip(),
            _NOTHING_CHANGED,
            "Choose a CSV file with the names of the columns in the first row and one example in "
            "each row below.",
        )
    if limit is None and (sheet.is_cut or filled > MAX_EXAMPLES):
        rows = f"about {round(sheet.lines, -3):,}" if sheet.is_cut else f"{filled:,}"
        raise EngineFailure(
            "too_many_examples",
            f"“{file_name}” has {rows} rows; at most {MAX_EXAMPLES:,} can be used.",
            _NOTHING_CHANGED,
            f"Use its first {MAX_EXAMPLES:,} rows, or {MAX_EXAMPLES:,} picked evenly from all of it.",
        )


def _take(records: list[Record], limit: Limit | None) -> list[Record]:
    if limit != "sample" or len(records) <= MAX_EXAMPLES:
        return records[:MAX_EXAMPLES]
    # A fixed seed: the same file gives the same sample, so that two runs on it can be compared.
    kept = random.Random(0).sample(range(len(records)), MAX_EXAMPLES)  # noqa: S311
    return [records[index] for index in sorted(kept)]


def _limit_findings(filled: list[Record], kept: list[Record], sheet: Sheet) -> list[Finding]:
    if len(kept) == len(filled) and not sheet.is_cut:
        return []
    total = f"about {round(sheet.lines, -3):,}" if sheet.is_cut else f"{len(filled):,}"
    message = f"{len(kept):,} of {total} rows are used, as you chose."
    return [Finding(severity="note", kind="limited", message=message)]


def _fit_rows(records: list[Record], width: int, delimiter: str) -> tuple[tuple[Row, ...], list[Finding]]:
    """Give every row exactly `width` cells, and say where the table had more or fewer."""
    rows: list[Row] = []
    places: dict[str, list[int]] = {"joined": [], "cut": [], "short": []}
    for record in records:
        cells, extra = record.cells[:width], record.cells[width:]
        if any(cell.strip() for cell in extra):
            is_sentence = all(cell.startswith(" ") for cell in extra)
            places["joined" if is_sentence else "cut"].append(record.number)
            if is_sentence:
                cells[-1] = delimiter.join((cells[-1], *extra))
        elif len(cells) < width:
            places["short"].append(record.number)
        rows.append(Row(record.number, (*cells, *[""] * (width - len(cells)))))
    return tuple(rows), [_RAGGED[how](numbers) for how, numbers in places.items() if numbers]


def _joined_finding(rows: list[int]) -> Finding:
    return Finding(
        severity="note",
        kind="commas-joined",
        rows=rows,
        message=f"The text in {render_rows(rows)} has commas but no quotation marks around it. "
        "Its parts were put together again.",
        remedy="Check these rows in the preview.",
    )


def _cut_finding(rows: list[int]) -> Finding:
    return Finding(
        severity="warning",
        kind="ragged",
        rows=rows,
        message=f"There are more cells in {render_rows(rows)} than there are columns; the extra "
        "cells were left out, "
        "so the text may be cut off.",
        remedy="Often a comma inside the text is the reason: put such text in quotation marks, or save the "
        "table as CSV from a spreadsheet.",
    )


def _short_finding(rows: list[int]) -> Finding:
    return Finding(
        severity="note",
        kind="short-rows",
        rows=rows,
        message=f"There are fewer cells in {render_rows(rows)} than there are columns; the missing "
        "ones count as empty.",
    )


_RAGGED = {"joined": _joined_finding, "cut": _cut_finding, "short": _short_finding}
