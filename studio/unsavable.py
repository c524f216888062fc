"""Characters that no text can be saved with: zero bytes are taken out, halves of a pair marked as damaged.

Every kind of file can bring them: a CSV as bytes, JSON as "\\u0000", a workbook as "_x0000_". Every other
character is left alone.
"""

import re
from collections.abc import Sequence

from engine.contract.records import Finding, Turn
from studio.cells import Record
from studio.wording import render_rows

_UNSAVABLE = re.compile("[\x00\ud800-\udfff]")
_ZERO = re.compile("\x00")
_HALF = re.compile("[\ud800-\udfff]")


def mend_text(text: str) -> str:
    return _HALF.sub("\ufffd", text.replace("\x00", ""))


def mend_records(records: Sequence[Record]) -> tuple[list[Record], list[Finding]]:
    """The same records with texts that can be saved, and a finding on those that had to change."""
    touched = [record for record in records if _has(_UNSAVABLE, record)]
    if not touched:
        return list(records), []
    zeros = [record.number for record in touched if _has(_ZERO, record)]
    halves = [record.number for record in touched if _has(_HALF, record)]
    findings = [*([_zero_finding(zeros)] if zeros else []), *([_half_finding(halves)] if halves else [])]
    return [_mend_record(record) for record in records], findings


def _has(pattern: re.Pattern[str], record: Record) -> bool:
    return any(map(pattern.search, record.cells)) or any(pattern.search(turn.text) for turn in record.turns)


def _mend_record(record: Record) -> Record:
    turns = tuple(Turn(role=turn.role, text=mend_text(turn.text)) for turn in record.turns)
    return Record(record.number, [mend_text(cell) for cell in record.cells], turns)


def _zero_finding(rows: list[int]) -> Finding:
    message = f"Invisible characters that no text needs (zero bytes) were taken out of {render_rows(rows)}."
    return Finding(severity="note", kind="zero-bytes", rows=rows, message=message)


def _half_finding(rows: list[int]) -> Finding:
    return Finding(
        severity="warning",
        kind="encoding-damage",
        rows=rows,
        message=f"Characters in {render_rows(rows)} are damaged and are shown as “\ufffd”.",
        remedy="Correct these texts, or save the file again in the program that made it.",
    )
