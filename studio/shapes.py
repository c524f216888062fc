"""What a text holds, by its shape: JSON, a delimited table, or passages of prose.

A file's own name decides only where the text does not. Does not know encodings, nor how any of these is read.
"""

import re
from typing import Literal

from studio.cells import read_cells
from studio.column_names import is_known_name

Shape = Literal["json", "delimited", "passages"]
_OBJECTS = re.compile(r'\s*(?:\[\s*)?\{\s*(?:"|\}\s*$)')
_TEXTS = re.compile(r'\s*\[\s*"')
_JSON_NAMES = (".jsonl", ".json", ".ndjson")
_PROSE_NAMES = (".txt", ".text", ".md", ".markdown")
# Enough to see a table, and quick for a text of any length.
_LINES_READ = 200
_EMPTY_LINE = re.compile(r"\S[^\S\r\n]*(?:\r\n|\r|\n)[^\S\r\n]*(?:\r\n|\r|\n)\s*\S")


def is_json(text: str) -> bool:
    if _OBJECTS.match(text, 0, 2000):
        return True
    # A link in Markdown may begin like an array of texts, but goes on after its bracket.
    return _TEXTS.match(text, 0, 2000) is not None and text.rstrip().endswith("]")


def find_shape(text: str, file_name: str) -> Shape:
    """The shape of a file's text; prose is expected only in files that are named so."""
    name = file_name.lower()
    if is_json(text) or name.endswith(_JSON_NAMES):
        return "json"
    return "passages" if name.endswith(_PROSE_NAMES) and not is_delimited(text) else "delimited"


def has_empty_lines(text: str) -> bool:
    """Whether an empty line stands between two others, as between paragraphs."""
    return _EMPTY_LINE.search(text) is not None


def is_delimited(text: str) -> bool:
    """Whether lines of a text are rows of a table rather than prose that happens to have commas."""
    start = "".join(text.splitlines(keepends=True)[:_LINES_READ])
    sheet = read_cells(start)
    if not sheet.delimiter:
        return False
    if sheet.delimiter == "\t" or _names_columns(sheet.records[0].cells):
        return True
    widths = {len(record.cells) for record in sheet.records}
    return len(sheet.records) > 1 and len(widths) == 1 and not has_empty_lines(start)


def _names_columns(cells: list[str]) -> bool:
    return len(cells) > 1 and any(is_known_name(cell) for cell in cells)
