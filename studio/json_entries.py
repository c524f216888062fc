"""From a text in JSON to its entries, one per example, however they were strung together.

Reads a line each, an array, an array inside an object, and objects set one after another. A broken line costs
only itself. Does not know what an entry means (`json_examples.py`).
"""

import json
from dataclasses import dataclass, field

from engine.contract.failures import EngineFailure
from studio.chats import find_messages

_BRACKETS = ("", "[", "]", "],")
_MEND = "Save it again as JSON lines in the program that made it, or put your examples into a spreadsheet."


class Number(float):
    """A number that remembers how it was written: 1.10 is a price, not 1.1."""

    written: str

    def __new__(cls, written: str) -> "Number":
        number = super().__new__(cls, written)
        number.written = written
        return number


_DECODER = json.JSONDecoder(parse_float=Number)


@dataclass
class Entries:
    values: list[tuple[int, object]] = field(default_factory=list)
    """Number of the line, or of the place in an array, and what stands there."""
    broken: list[int] = field(default_factory=list)
    lines: int = 0
    is_cut: bool = False


def read_entries(text: str, at_most: int | None = None) -> Entries:
    """All entries of a text; raises EngineFailure if it is no JSON or damaged beyond a few lines."""
    whole = _parse(text)
    if whole is not None:
        values = list(enumerate(_unwrap(whole), 1))
        return Entries(values, lines=len(values))
    entries = _read_lines(text, at_most)
    if len(entries.values) >= len(entries.broken):
        return entries
    return _read_sequence(text)


def _parse(text: str) -> object | None:
    try:
        return _DECODER.decode(text)  # type: ignore[no-any-return]
    # Beside errors of syntax: a whole number of over 4,300 digits, and brackets nested a thousand deep.
    except (ValueError, RecursionError):
        return None


def _unwrap(whole: object) -> list[object]:
    """The entries of an array, or of the only array in an object, as in {"data": [...]}."""
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict) and find_messages(whole) is None:
        lists = [value for value in whole.values() if isinstance(value, list) and _holds_objects(value)]
        if len(lists) == 1:
            return lists[0]
    return [whole]


def _holds_objects(values: list[object]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


def _read_lines(text: str, at_most: int | None) -> Entries:
    """A line each. Only these three characters end a line: others may stand inside a JSON text."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    entries = Entries(lines=len(lines))
    for number, line in enumerate(lines, 1):
        # An array that lost a comma is still readable line by line.
        if line.strip() in _BRACKETS:
            continue
        value = _parse(line.strip().removesuffix(","))
        if value is None:
            entries.broken.append(number)
        else:
            entries.values.append((number, value))
        if at_most is not None and len(entries.values) > at_most:
            entries.is_cut = True
            break
    return entries


def _read_sequence(text: str) -> Entries:
    """Objects spread over several lines each, one after another."""
    entries, position = Entries(), _skip_blanks(text, 0)
    while position < len(text):
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            at = error.pos if isinstance(error, json.JSONDecodeError) else position
            raise _damaged(text.count("\n", 0, at) + 1) from None
        entries.values.append((len(entries.values) + 1, value))
        position = _skip_blanks(text, position)
    entries.lines = len(entries.values)
    return entries


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position


def _damaged(line: int) -> EngineFailure:
    return EngineFailure(
        "bad_request",
        f"This looks like a JSON file, but it cannot be read beyond line {line:,}.",
        "Nothing was changed.",
        _MEND,
    )
