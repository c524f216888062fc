"""A table drawn with bars, as Markdown has it and as chat programs answer: records without the drawing.

Blanks around a cell belong to the drawing; everything else in it is text. Does not know what cells are for.
"""

import re

from studio.cells import Record, Sheet

_RULE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)*\s*:?-{2,}:?\s*\|?\s*")
_BAR = re.compile(r"(?<!\\)\|")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def find_markdown_table(text: str) -> Sheet | None:
    """The rows of a text that is nothing but one such table, numbered as its lines; else None."""
    start = _LINE_ENDS.split(text.lstrip(), maxsplit=2)
    if len(start) < 3 or "|" not in start[1] or not _RULE.fullmatch(start[1]):
        return None
    lines = [(number, line) for number, line in enumerate(_LINE_ENDS.split(text), 1) if line.strip()]
    if not all("|" in line for _, line in lines):
        return None
    records = [Record(number, _split(line)) for number, line in (lines[0], *lines[2:])]
    return Sheet(records, (), "|", len(records), is_cut=False)


def _split(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    cells = _BAR.split(inner[:-1] if re.search(r"(?<!\\)\|$", inner) else inner)
    return [cell.strip().replace("\\|", "|") for cell in cells]
