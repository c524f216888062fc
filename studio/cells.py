"""From the text of a CSV file to its records, whatever separates and quotes them, and however sloppily.

Does not know which record is the header (`header.py`) nor what the cells are for. Numbers records as a
spreadsheet numbers rows: line breaks inside a cell do not count, blank lines do.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from engine.contract.failures import EngineFailure
from engine.contract.records import Finding, Turn
from studio.wording import render_rows

if TYPE_CHECKING:
    import _csv

# The library refuses cells over 131,072 characters; the size of the file is the only limit here.
csv.field_size_limit(2**31 - 1)

_DELIMITERS = (",", ";", "\t", "|")
# Separates nothing: this is how a file of one column is read without cutting at the commas of its sentences.
_NO_DELIMITER = "\U0010fffd"
_SNIFFED_RECORDS = 200
# A list of lines is not a table if fewer records than this share agree on a number of columns.
_AGREEING = 0.65
_UNCLOSED_ROWS_BORNE = 20
# Records above the header and blank ones do not count against a limit; this many more are read to be sure.
_MARGIN = 50


@dataclass(frozen=True)
class Record:
    number: int
    cells: list[str]
    turns: tuple[Turn, ...] = ()
    """Earlier turns, if the record is a conversation."""


@dataclass(frozen=True)
class Sheet:
    records: list[Record]
    findings: tuple[Finding, ...]
    delimiter: str
    """Empty for a file of one column."""
    lines: int
    is_cut: bool
    """True if reading ended at the limit, with more rows to come."""


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    quote: str = '"'
    skips_space: bool = False

    def reader(self, lines: Iterator[str], strict: bool) -> "_csv.Reader":
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            skipinitialspace=self.skips_space,
            strict=strict,
        )


def read_cells(text: str, at_most: int | None = None) -> Sheet:
    """Take a text apart into records; lines that open a quotation mark and never close it are left out."""
    lines = list(io.StringIO(text, newline=""))
    dialect = _find_declared(lines) or _sniff(lines)
    reading = _Reading(lines, dialect, None if at_most is None else at_most + _MARGIN)
    reading.read()
    delimiter = "" if dialect.delimiter == _NO_DELIMITER else dialect.delimiter
    return Sheet(reading.records, reading.findings(), delimiter, len(lines), reading.is_cut)


class _Reading:
    """One pass over the lines. A record that the strict reader refuses is repaired or left out by itself."""

    def __init__(self, lines: list[str], dialect: Dialect, at_most: int | None) -> None:
        self.lines = lines
        self.dialect = dialect
        self.at_most = at_most
        self.records: list[Record] = []
        self.is_cut = False
        self._row = 0
        self._unclosed: list[int] = []
        self._sloppy: list[int] = []

    def read(self) -> None:
        line: int | None = 0
        while line is not None:
            line = self._read_from(line)

    def findings(self) -> tuple[Finding, ...]:
        quote_findings = (_unclosed_finding(self._unclosed), _sloppy_finding(self._sloppy))
        single = [_single_quote_finding()] if self.dialect.quote == "'" else []
        return (*(finding for finding in quote_findings if finding.rows), *single)

    def _read_from(self, line: int) -> int | None:
        """Read until a record is malformed; give the line after it, or None at the end."""
        reader = self.dialect.reader(map(self.lines.__getitem__, range(line, len(self.lines))), strict=True)
        taken = 0
        try:
            for cells in reader:
                taken = reader.line_num
                self._row += 1
                if cells:
                    self.records.append(Record(self._row, cells))
                    if self.at_most is not None and len(self.records) > self.at_most:
                        self.is_cut = True
                        return None
        except csv.Error:
            self._repair(self.lines[line + taken])
            return line + taken + 1
        return None

    def _repair(self, line: str) -> None:
        self._row += 1
        cells = _split_sloppily(line, self.dialect)
        if cells is not None:
            self._sloppy.append(self._row)
            self.records.append(Record(self._row, cells))
            return
        self._unclosed.append(self._row)
        if len(self._unclosed) > _UNCLOSED_ROWS_BORNE:
            raise EngineFailure(
                "bad_request",
                "Too many quotation marks in this file are opened and never closed: "
                f"{render_rows(self._unclosed)}.",
                "Nothing was changed.",
                "Open the table in a spreadsheet program, save it as CSV (UTF-8), and upload that file.",
            )


def _split_sloppily(line: str, dialect: Dialect) -> list[str] | None:
    """Split one line in which quotation marks stand unescaped inside quoted cells; None if one stays open.

    A quotation mark closes a cell only where a delimiter or the end of the line follows.
    """
    delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    cell = re.compile(rf"{quote}(.*?){quote}(?={delimiter}|$)|((?!{quote})[^{delimiter}]*)", re.DOTALL)
    rest, position, cells = line.rstrip("\r\n"), 0, []
    while True:
        match = cell.match(rest, position)
        if match is None:
            return None
        quoted, plain = match.groups()
        cells.append(plain if quoted is None else quoted.replace(2 * dialect.quote, dialect.quote))
        position = match.end() + 1
        if match.end() == len(rest):
            return cells
        if rest[match.end()] != dialect.delimiter:
            return None


def _find_declared(lines: list[str]) -> Dialect | None:
    """Excel writes and obeys a first line such as `sep=;`, which it does not count as a row."""
    declared = re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE) if lines else None
    if declared is None:
        return None
    del lines[0]
    return Dialect(declared[1])


def _sniff(lines: list[str]) -> Dialect:
    scores = {delimiter: _score(lines, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(scores, key=lambda candidate: scores[candidate])
    if scores[delimiter] < _AGREEING:
        return Dialect(_NO_DELIMITER)
    dialect = _build_dialect(lines, delimiter)
    return replace(dialect, quote="'") if _uses_single_quotes(lines, delimiter) else dialect


def _build_dialect(lines: list[str], delimiter: str) -> Dialect:
    """Some programs put a space before every quoted cell; it belongs to the delimiter then."""
    start = "".join(lines[:_SNIFFED_RECORDS])
    return Dialect(delimiter, skips_space=f'{delimiter} "' in start and f'{delimiter}"' not in start)


def _score(lines: list[str], delimiter: str) -> float:
    """How well the records agree on a number of columns above one; the first, often a header, counts more."""
    reader = _build_dialect(lines, delimiter).reader(iter(lines), strict=False)
    records = [cells for cells in islice(reader, _SNIFFED_RECORDS) if any(cell.strip() for cell in cells)]
    if not records:
        return 0.0
    widths = Counter(len(cells) for cells in records)
    width, agreeing = max(widths.items(), key=lambda item: (item[1], item[0]))
    share = agreeing / len(records)
    if width == 1 or (share < 0.9 and _is_prose(records)):
        return 0.0
    return share + 0.5 * (len(records[0]) == width)


def _is_prose(records: list[list[str]]) -> bool:
    """Whether the cells after the first begin with a space: a sentence's commas were taken for delimiters."""
    later = [cell for cells in records for cell in cells[1:]]
    return sum(cell.startswith(" ") for cell in later) > 0.8 * len(later)


def _uses_single_quotes(lines: list[str], delimiter: str) -> bool:
    """Only if no double quote is anywhere, and some cell in single quotes could not do without them."""
    start = "".join(lines[:_SNIFFED_RECORDS])
    edge = re.escape(delimiter)
    needed = re.search(rf"(?:^|{edge})'[^'\n]*[,;\t|][^'\n]*'(?={edge}|\s*$)", start, re.MULTILINE)
    if needed is None or any('"' in line for line in lines):
        return False
    try:
        list(Dialect(delimiter, quote="'").reader(iter(lines), strict=True))
    except csv.Error:
        return False
    return True


def _unclosed_finding(rows: list[int]) -> Finding:
    which = "That row was" if len(rows) == 1 else "Those rows were"
    return Finding(
        severity="error",
        kind="unclosed-quote",
        rows=rows,
        message=f"A quotation mark that begins in {render_rows(rows)} is never closed. {which} left out.",
        remedy='Add the missing quotation mark (") at the end of the cell and upload the file again.',
    )


def _sloppy_finding(rows: list[int]) -> Finding:
    return Finding(
        severity="warning",
        kind="stray-quote",
        rows=rows,
        message=f"Quotation marks inside the text of {render_rows(rows)} are not doubled, as CSV wants them. "
        "The text was read as well as it could be.",
        remedy="Check these rows in the preview. Saving the table as CSV from a spreadsheet mends them.",
    )


def _single_quote_finding() -> Finding:
    return Finding(
        severity="note",
        kind="single-quotes",
        message="Cells of this file stand in single quotation marks; these were read as wrapping, "
        "not as text.",
    )
