"""The door for examples: any file a brand team has, or what it pastes, becomes a table.

What a file is shows in its content; its name is asked only where content leaves it open. Does not know how
any kind is read: workbooks, JSON, delimited tables and passages have a module each.
"""

from dataclasses import replace

from studio.clipboard import find_copied_cells
from studio.decoding import Decoded, read_text
from studio.json_examples import read_json
from studio.markdown_table import find_markdown_table
from studio.passages import read_passages
from studio.shapes import find_shape, is_json
from studio.signatures import is_workbook
from studio.table import Limit, Table, build_table, check_size, count_wanted, read_delimited
from studio.workbook import read_workbook

_TEXTS = (".csv", ".tsv", ".tab", ".txt", ".md", ".jsonl", ".json", ".ndjson")
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
FILE_TYPES = (*_TEXTS, *_WORKBOOKS)
"""Endings of the files that can be read, as a file dialog wants them."""
PASTED = "The pasted text"


def read_file(data: bytes, file_name: str, *, limit: Limit | None = None, sheet: str | None = None) -> Table:
    """Read a file of any kind; `sheet` chooses among a workbook's.

    Raises EngineFailure: `too_many_examples` if a `limit` would help, else `bad_request` with the reason.
    """
    check_size(data, file_name)
    if is_workbook(data):
        return _read_workbook_table(data, file_name, limit, sheet)
    return _read_text_table(read_text(data), file_name, limit)


def read_pasted(text: str, *, limit: Limit | None = None) -> Table:
    """Read what was pasted: cells of a spreadsheet, or the text of any file that is one."""
    check_size(text.encode("utf-8", "surrogatepass"), PASTED)
    if not is_json(text) and (copied := find_copied_cells(text)):
        cells, header = copied
        return build_table(cells, PASTED, limit, header)
    # What is pasted has no name; it is read as a text file would be.
    return _read_text_table(Decoded(text, ""), PASTED, limit, ".txt")


def _read_workbook_table(data: bytes, file_name: str, limit: Limit | None, sheet: str | None) -> Table:
    workbook = read_workbook(data, file_name, sheet, count_wanted(limit))
    table = build_table(workbook.cells, file_name, limit, kind="workbook")
    return replace(table, sheets=workbook.sheets, sheet=workbook.sheet)


def _read_text_table(decoded: Decoded, file_name: str, limit: Limit | None, ending: str = "") -> Table:
    shape = find_shape(decoded.text, file_name + ending)
    if shape == "json":
        cells, header = read_json(decoded.text, count_wanted(limit))
        table = build_table(cells, file_name, limit, header, "json-lines")
    elif drawn := find_markdown_table(decoded.text):
        table = build_table(drawn, file_name, limit)
    elif shape == "passages":
        cells, header = read_passages(decoded.text)
        table = build_table(cells, file_name, limit, header, "passages")
    else:
        return read_delimited(decoded, file_name, limit)
    return replace(table, findings=(*decoded.findings, *table.findings), encoding=decoded.encoding)
