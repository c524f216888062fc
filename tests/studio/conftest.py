"""Writes workbooks as Excel does, with the standard library alone: a test then knows every byte in them."""

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import pytest

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DATE, MOMENT = 1, 2
"""Styles of a number that is shown as a date, or as a date with a time."""

Cell = str | float | bool | tuple[float, int] | None
WriteWorkbook = Callable[..., bytes]


@pytest.fixture(scope="session")
def write_workbook() -> WriteWorkbook:
    return _write_workbook


def _write_workbook(
    sheets: Mapping[str, Sequence[Sequence[Cell]] | bytes], hidden: Sequence[str] = ()
) -> bytes:
    """An .xlsx of these sheets; one given as bytes is the XML of its rows, or of all of it with a DOCTYPE."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr("_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")]))
        links = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(links))
        archive.writestr("xl/workbook.xml", _book(list(sheets), hidden))
        archive.writestr("xl/styles.xml", _styles())
        for number, rows in enumerate(sheets.values(), 1):
            data = rows if isinstance(rows, bytes) else "".join(map(_row, rows)).encode()
            archive.writestr(f"xl/worksheets/sheet{number}.xml", _sheet(data))
    return buffer.getvalue()


def _sheet(data: bytes) -> bytes:
    if data.startswith(b"<!DOCTYPE"):
        return data
    return f'<worksheet xmlns="{MAIN}"><sheetData>'.encode() + data + b"</sheetData></worksheet>"


def _relations(links: list[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for name, kind, target in links
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{inner}</Relationships>'


def _book(names: list[str], hidden: Sequence[str]) -> str:
    inner = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"{_state(name in hidden)}/>'
        for n, name in enumerate(names, 1)
    )
    return f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{inner}</sheets></workbook>'


def _state(is_hidden: bool) -> str:
    return ' state="hidden"' if is_hidden else ""


def _styles() -> str:
    """Formats 0, 14 and 22 of the standard: General, a date, a date with a time."""
    inner = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22))
    return f'<styleSheet xmlns="{MAIN}"><cellXfs>{inner}</cellXfs></styleSheet>'


def _row(cells: Sequence[Cell]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(cell: Cell) -> str:
    if cell is None:
        return "<c/>"
    if isinstance(cell, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{_text(cell)}</t></is></c>'
    if isinstance(cell, bool):
        return f'<c t="b"><v>{int(cell)}</v></c>'
    value, style = cell if isinstance(cell, tuple) else (cell, 0)
    return f'<c s="{style}"><v>{value!r}</v></c>'


def _text(text: str) -> str:
    """XML has no control characters: they are written as _x000D_, and such a text itself as _x005F_x000D_."""
    doubled = re.sub(r"_x([0-9A-Fa-f]{4})_", r"_x005F_x\1_", text)
    return escape(re.sub("[\x01-\x08\x0b-\x1f\r]", lambda match: f"_x{ord(match[0]):04X}_", doubled))
