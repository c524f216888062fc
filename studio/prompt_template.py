"""Joins several columns into the prompt: "Write a {format} about {product}".

A name in braces stands for the cell of that column; "{{" and "}}" are braces themselves. An empty cell
takes the words that lead to it along, so that what is left still reads: without an audience, "Write a post
about tents for {audience}." becomes "Write a post about tents." Space around a cell is left out, nothing in
it is changed. Does not know which template suits a table (`template_suggestion.py`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from studio.table import Table
from studio.wording import render_list

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_ARTICLE = re.compile(r"\b([Aa]) $")
# "u" is left out: "a unique", "a user guide" are as frequent as "an umbrella".
_TAKES_AN = tuple("aeioAEIO")


@dataclass(frozen=True)
class _Slot:
    lead: str
    """The words between the slot before and this one."""
    column: str


def columns_in(template: str) -> tuple[str, ...]:
    """The names in braces, each once, in their order, as they are written."""
    names = (match[1].strip() for match in _PIECE.finditer(template) if match[1] is not None)
    return tuple(dict.fromkeys(name for name in names if name))


def check_template(template: str, columns: Sequence[str]) -> str | None:
    """What is wrong with it in one sentence, or None. `columns` are those that may be asked with."""
    for match in _PIECE.finditer(template):
        if match[0] in ("{", "}"):
            other = "closed with }" if match[0] == "{" else "opened with {"
            return f"A brace is not {other}; write {match[0] * 2} if you mean the sign itself."
        if match[1] is not None and not match[1].strip():
            return "Nothing stands between { and }; put the name of a column there."
    unknown = [name for name in columns_in(template) if _find_column(name, columns) is None]
    if unknown:
        listed = render_list([f"“{name}”" for name in columns])
        return f"There is no column “{unknown[0]}” to ask with; choose from {listed}."
    if not columns_in(template):
        return "The template names no column, so every example would be asked for with the same words."
    return None


def render_prompts(table: Table, template: str) -> list[str]:
    """One prompt per row, empty where all of its cells are. The template must have been checked."""
    slots, tail = _parse(template)
    cells = {
        slot.column: table.column(_find_column(slot.column, table.columns) or slot.column) for slot in slots
    }
    return [
        _render({name: column[row].strip() for name, column in cells.items()}, slots, tail)
        for row in range(len(table.rows))
    ]


def _find_column(name: str, columns: Sequence[str]) -> str | None:
    """Exactly, else without regard to capitals and space."""
    if name in columns:
        return name
    return next((column for column in columns if column.strip().casefold() == name.casefold()), None)


def _parse(template: str) -> tuple[list[_Slot], str]:
    slots, literal, end = [], "", 0
    for match in _PIECE.finditer(template):
        literal += template[end : match.start()]
        end = match.end()
        if match[1] is None:
            literal += match[0][0]
            continue
        slots.append(_Slot(literal, match[1].strip()))
        literal = ""
    return slots, literal + template[end:]


def _render(cells: Mapping[str, str], slots: Sequence[_Slot], tail: str) -> str:
    if not any(cells.values()):
        return ""
    text = "".join(_render_slots(cells, slots)) + tail
    begins_empty = not slots[0].lead.strip() and not cells[slots[0].column]
    return text.lstrip(" ,;:.–-") if begins_empty else text


def _render_slots(cells: Mapping[str, str], slots: Sequence[_Slot]) -> Iterator[str]:
    for index, slot in enumerate(slots):
        cell = cells[slot.column]
        if cell:
            yield _fit_article(slot.lead, cell) + cell
        elif index == 0:
            # The sentence must begin all the same: only the word before the gap goes, as "a" of "Write a".
            yield " ".join(slot.lead.split()[:-1]) if len(slot.lead.split()) > 1 else slot.lead.rstrip()


def _fit_article(lead: str, cell: str) -> str:
    return _ARTICLE.sub(r"\1n ", lead) if cell.startswith(_TAKES_AN) else lead
