"""Rows that stand in quotation marks as a whole, as a CSV has them that was opened as one column and saved.

Knows such a file by its only column, whose name is a row of names. Does not know encodings or roles.
"""

import csv
import io
from dataclasses import replace

from engine.contract.records import Finding
from studio.cells import Record, Sheet
from studio.column_names import is_known_name

_DELIMITERS = ",;\t"


def unwrap_rows(sheet: Sheet) -> Sheet:
    """The table inside the only column, with a finding; the same sheet if there is none."""
    if sheet.delimiter or not sheet.records:
        return sheet
    names = sheet.records[0].cells[0]
    for delimiter in _DELIMITERS:
        cells = _split(names, delimiter)
        if len(cells) > 1 and any(map(is_known_name, cells)):
            return _unwrap(sheet, delimiter)
    return sheet


def _unwrap(sheet: Sheet, delimiter: str) -> Sheet:
    records = [Record(record.number, _split(record.cells[0], delimiter)) for record in sheet.records]
    finding = Finding(
        severity="note",
        kind="wrapped-rows",
        message="Whole rows of this file stand in quotation marks. These were taken off and the rows split "
        "into their columns.",
        remedy="Check the rows in the preview.",
    )
    return replace(sheet, records=records, delimiter=delimiter, findings=(*sheet.findings, finding))


def _split(row: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(row, newline=""), delimiter=delimiter), [])
