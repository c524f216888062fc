"""From entries in JSON to records: what each notation for examples means, and which entries make none.

Keys become columns, so that `columns.py` chooses among them as in any table. Knows the notations of
instruction tuning; conversations are read by `chats.py`, the text itself by `json_entries.py`.
"""

import json
from collections import defaultdict
from dataclasses import dataclass

from engine.contract.failures import EngineFailure
from engine.contract.records import Finding, Severity, Turn
from studio.cells import Record, Sheet
from studio.chats import Unusable, find_messages, read_conversation
from studio.header import Header
from studio.json_entries import Number, read_entries
from studio.unsavable import mend_text
from studio.wording import render_rows

# A table of examples has a handful; thousands mean that the keys themselves are data.
_COLUMNS_AT_MOST = 200
_TEXT = "text"
# Kind -> severity, message, remedy of what is said about entries.
_REMARKS: dict[str, tuple[Severity, str, str]] = {
    "broken-line": (
        "error",
        "The JSON in {rows} is damaged. {left_out}",
        "Every line must be complete: from { to }, texts between quotation marks.",
    ),
    "not-an-example": (
        "error",
        "There is no example in {rows}, only a bare value. {left_out}",
        'Write every example with the names of its parts: {"prompt": "…", "completion": "…"}.',
    ),
    "not-only-text": (
        "warning",
        "There is more than text in {rows}, such as a picture or a call of a tool. {left_out}",
        "Nothing to do, unless you want to write the conversation anew as text.",
    ),
    "no-answer": (
        "warning",
        "Nobody answers in {rows}. {left_out}",
        "Add the answer in your voice, or delete the conversation.",
    ),
    "last-answer": (
        "note",
        "There are several answers in {rows}: the last one is learnt, and what was said before it is kept "
        "as the conversation that led there.",
        "",
    ),
    "after-answer": ("note", "What follows the last answer in {rows} was left out.", ""),
    "joined-messages": (
        "note",
        "Several messages of one speaker follow each other in {rows}. They were put together, with an "
        "empty line between them.",
        "",
    ),
}


@dataclass(frozen=True)
class _Entry:
    number: int
    fields: dict[str, str]
    turns: tuple[Turn, ...] = ()


def read_json(text: str, at_most: int | None = None) -> tuple[Sheet, Header]:
    """The records of a JSON text under the names of their keys."""
    entries = read_entries(text, at_most)
    remarks: defaultdict[str, list[int]] = defaultdict(list)
    remarks["broken-line"] = entries.broken
    read = [_read_entry(number, value, remarks) for number, value in entries.values]
    found = [entry for entry in read if entry is not None]
    names = list(dict.fromkeys(name for entry in found for name in entry.fields))
    if len(names) > _COLUMNS_AT_MOST:
        raise _too_many_names(len(names))
    records = [
        Record(entry.number, [entry.fields.get(name, "") for name in names], entry.turns) for entry in found
    ]
    findings = tuple(_build_finding(kind, rows) for kind, rows in remarks.items() if rows)
    cells = Sheet(records, findings, "", entries.lines, entries.is_cut)
    return cells, Header([mend_text(name) for name in names], 0)


def _read_entry(number: int, value: object, remarks: dict[str, list[int]]) -> _Entry | None:
    try:
        entry = _read_value(number, value, remarks)
    except Unusable as verdict:
        remarks[verdict.kind].append(number)
        return None
    # Brackets can be nested just deep enough to be read and too deep to be written again.
    except RecursionError:
        entry = None
    if entry is None:
        remarks["not-an-example"].append(number)
    return entry


def _read_value(number: int, value: object, remarks: dict[str, list[int]]) -> _Entry | None:
    if isinstance(value, str):
        return _Entry(number, {_TEXT: value})
    if not isinstance(value, dict):
        return None
    found = find_messages(value)
    if found is None:
        return _Entry(number, _join_input({name: _render_value(cell) for name, cell in value.items()}))
    messages, keys = found
    conversation = read_conversation(messages)
    marks = {
        "last-answer": any(turn.role == "assistant" for turn in conversation.turns),
        "after-answer": conversation.has_rest,
        "joined-messages": conversation.has_joined,
    }
    for kind in (kind for kind, applies in marks.items() if applies):
        remarks[kind].append(number)
    others = {name: _render_value(cell) for name, cell in value.items() if name not in keys}
    fields = {**others, "prompt": conversation.prompt, "completion": conversation.completion}
    return _Entry(number, fields, conversation.turns)


def _join_input(fields: dict[str, str]) -> dict[str, str]:
    """In Alpaca's notation the input is what the instruction is to be applied to: it stands below it."""
    if not fields.keys() >= {"instruction", "input", "output"}:
        return fields
    below = fields.pop("input")
    return {**fields, "instruction": "\n\n".join(part for part in (fields["instruction"], below) if part)}


def _render_value(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, Number):
        return value.written
    return json.dumps(value, ensure_ascii=False)


def _build_finding(kind: str, rows: list[int]) -> Finding:
    severity, message, remedy = _REMARKS[kind]
    left_out = "It was left out." if len(rows) == 1 else "They were left out."
    text = message.replace("{rows}", render_rows(rows)).replace("{left_out}", left_out)
    return Finding(severity=severity, kind=kind, rows=rows, message=text, remedy=remedy)


def _too_many_names(count: int) -> EngineFailure:
    return EngineFailure(
        "bad_request",
        f"The examples of this file have {count:,} differently named parts; at most {_COLUMNS_AT_MOST} can "
        "be columns.",
        "Nothing was changed.",
        "Name the parts of all examples alike, such as “prompt” and “completion”.",
    )
