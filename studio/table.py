"""From the records of a file to a table: columns, rows and what was odd about them.

Every cell keeps its text exactly; "NA", "007" and spaces are text like any other. Rows bear the numbers a
spreadsheet shows. Does not know kinds of files (`files.py`), prompts or completions (`columns.py`), nor what
makes a good example.
"""

import random
from dataclasses import dataclass, replace
from typing import Literal

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_EXAMPLES, Finding, Turn
from studio.cells import Record, Sheet, read_cells
from studio.decoding import Decoded
from studio.header import Header, find_header, name_columns
from studio.ragged import fit_cells
from studio.unsavable import mend_records
from studio.wording import render_bytes
from studio.wrapped_rows import unwrap_rows

MAX_FILE_BYTES = 25 * 2**20
NOTHING_CHANGED = "Nothing was changed."
Limit = Literal["first", "sample"]
"""What to do with a table of too many rows: take its first ones, or some from everywhere."""
Kind = Literal["table", "workbook", "json-lines", "passages"]
_EXPECTED: dict[Kind, str] = {
    "table": "Choose a table with the names of the columns in the first row and one example in each row "
    "below.",
    "workbook": "Choose a sheet with the names of the columns in its first row and one example in each row "
    "below.",
    "json-lines": "Choose a file with one example in each line, such as "
    '{"prompt": "What was asked", "completion": "The answer in your voice"}.',
    "passages": "Put one text in each paragraph, with an empty line between two of them.",
}


@dataclass(frozen=True)
class Row:
    """One record; it has exactly as many cells as the table has columns."""

    number: int
    """As a spreadsheet counts: a header in the first line is row 1."""
    cells: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    """Earlier turns of a conversation, before the prompt."""


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    """All different; a column without a name is "Column 3"."""
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    encoding: str
    """Python's name of it; empty for a workbook and for pasted text."""
    delimiter: str
    has_header: bool
    kind: Kind = "table"
    sheets: tuple[str, ...] = ()
    """The sheets of a workbook that a person sees, in its order."""
    sheet: str = ""
    """The one of them that was read."""

    def column(self, name: str) -> list[str]:
        position = self.columns.index(name)
        return [row.cells[position] for row in self.rows]


def read_delimited(decoded: Decoded, file_name: str, limit: Limit | None) -> Table:
    table = build_table(unwrap_rows(read_cells(decoded.text, count_wanted(limit))), file_name, limit)
    return replace(table, findings=(*decoded.findings, *table.findings), encoding=decoded.encoding)


def count_wanted(limit: Limit | None) -> int | None:
    """How many records must be read; None for all, so that a sample can be drawn from everywhere."""
    return None if limit == "sample" else MAX_EXAMPLES


def build_table(
    sheet: Sheet, file_name: str, limit: Limit | None, header: Header | None = None, kind: Kind = "table"
) -> Table:
    """Records to columns and rows; the header is looked for unless it is given."""
    records, unsavable = mend_records(sheet.records)
    header = header or find_header(records)
    filled = [record for record in records[header.after :] if any(cell.strip() for cell in record.cells)]
    _check_rows(len(filled), sheet, file_name, limit, kind)
    kept = _take(filled, limit)
    columns = name_columns(header.cells, [record.cells for record in kept])
    cells, ragged = fit_cells(kept, len(columns), sheet.delimiter)
    rows = tuple(
        Row(record.number, tuple(fitted), record.turns) for record, fitted in zip(kept, cells, strict=True)
    )
    found = (*sheet.findings, *unsavable, *header.findings, *_limit_findings(filled, kept, sheet), *ragged)
    return Table(columns, rows, found, "", sheet.delimiter, bool(header.cells), kind)


def check_size(data: bytes, file_name: str) -> None:
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” is empty.",
            NOTHING_CHANGED,
            "Choose a file with one example in each row.",
        )
    if len(data) > MAX_FILE_BYTES:
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” has {render_bytes(len(data))}; a file may have up to "
            f"{render_bytes(MAX_FILE_BYTES)}.",
            NOTHING_CHANGED,
            f"Save the best rows, at most {MAX_EXAMPLES:,}, as a smaller CSV file and upload that.",
        )


def _check_rows(filled: int, sheet: Sheet, file_name: str, limit: Limit | None, kind: Kind) -> None:
    if filled == 0:
        unreadable = " ".join(finding.message for finding in sheet.findings if finding.severity == "error")
        raise EngineFailure(
            "bad_request",
            f"“{file_name}” has no rows of examples. {unreadable}".strip(),
            NOTHING_CHANGED,
            _EXPECTED[kind],
        )
    if limit is None and (sheet.is_cut or filled > MAX_EXAMPLES):
        rows = f"about {round(sheet.lines, -3):,}" if sheet.is_cut else f"{filled:,}"
        raise EngineFailure(
            "too_many_examples",
            f"“{file_name}” has {rows} rows; at most {MAX_EXAMPLES:,} can be used.",
            NOTHING_CHANGED,
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
