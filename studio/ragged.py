"""Rows with more or fewer cells than the table has columns: each is made to fit, and a finding says where.

Does not know what the cells are for, nor how they were separated beyond the character that did it.
"""

from engine.contract.records import Finding
from studio.cells import Record
from studio.wording import render_rows


def fit_cells(records: list[Record], width: int, delimiter: str) -> tuple[list[list[str]], list[Finding]]:
    """Give every record exactly `width` cells, and say where the table had more or fewer."""
    fitted: list[list[str]] = []
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
        fitted.append([*cells, *[""] * (width - len(cells))])
    return fitted, [_RAGGED[how](numbers) for how, numbers in places.items() if numbers]


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
