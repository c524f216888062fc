"""Cells copied from a spreadsheet: tabs between them, line breaks inside them only between quotation marks.

Spreadsheets quote a cell that holds a line break or a tab and leave every other as it is, with all quotation
marks in it; so here a mark wraps only what needs it. Does not know columns or examples.
"""

import re
from collections import Counter
from dataclasses import dataclass

from studio.cells import Record, Sheet
from studio.column_names import LONE_COLUMN, is_known_name
from studio.header import Header, find_header

_CELL = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"(?=[\t\r\n]|\Z)|([^\t\r\n]*)')
_END_OF_LINE = re.compile(r"\r\n|\r|\n")
_NEEDS_QUOTES = re.compile(r"[\t\r\n]")
# A selection of cells is a rectangle; what was typed around it may differ.
_AGREEING = 0.8


def find_copied_cells(text: str) -> tuple[Sheet, Header] | None:
    """The copied cells, or None if the text has no tabs between cells nor cells of several lines."""
    sheet = _Copied(text, _quotes_every_cell(text)).read()
    widths = Counter(len(record.cells) for record in sheet.records)
    width, count = max(widths.items(), key=lambda item: item[1], default=(1, 0))
    if width > 1:
        return (sheet, find_header(sheet.records)) if count >= _AGREEING * len(sheet.records) else None
    has_lines = any(_NEEDS_QUOTES.search(record.cells[0]) for record in sheet.records)
    return (sheet, _name_lone_column(sheet.records[0].cells[0])) if len(widths) == 1 and has_lines else None


def _name_lone_column(first: str) -> Header:
    """One column is often copied without its name; a short text must not be taken for it."""
    return Header([first], 1) if is_known_name(first) else Header([LONE_COLUMN], 0)


def _quotes_every_cell(text: str) -> bool:
    """Whether a program wrapped all cells that are not empty, as some exports do."""
    cells = [match for match in _CELL.finditer(text) if match[0]]
    return bool(cells) and all(match[1] is not None for match in cells)


@dataclass
class _Copied:
    text: str
    unwraps_all: bool
    position: int = 0

    def read(self) -> Sheet:
        records: list[Record] = []
        number = 0
        while self.position < len(self.text):
            number += 1
            cells = self._read_row()
            if any(cells):
                records.append(Record(number, cells))
        return Sheet(records, (), "\t", number, is_cut=False)

    def _read_row(self) -> list[str]:
        cells = [self._read_cell()]
        while self.text.startswith("\t", self.position):
            self.position += 1
            cells.append(self._read_cell())
        if end := _END_OF_LINE.match(self.text, self.position):
            self.position = end.end()
        return cells

    def _read_cell(self) -> str:
        match = _CELL.match(self.text, self.position)
        if match and match[1] is not None and (self.unwraps_all or _NEEDS_QUOTES.search(match[1])):
            self.position = match.end()
            return match[1].replace('""', '"')
        end = _NEEDS_QUOTES.search(self.text, self.position)
        start, self.position = self.position, end.start() if end else len(self.text)
        return self.text[start : self.position]
