"""From a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods) to the records of one of its sheets.

The workbook is opened by a child process under limits (`workbook_reader.py`); here stand how it is asked and
what a person is told when it fails. Does not know columns or examples.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from engine.contract.failures import EngineFailure
from engine.contract.records import Finding
from studio.cells import Record, Sheet
from studio.signatures import FROM_EXCEL, is_encrypted

# The child stops itself after four seconds of work; these pass only while the machine is busy with others.
SECONDS = 20.0
_READER = Path(__file__).with_name("workbook_reader.py")
# Rows of titles do not count against a limit; this many more are read to be sure.
_MARGIN = 50
_SMALLER = (
    "Copy the columns with your examples into a new workbook, values only, and upload that; or save the "
    "sheet as “CSV UTF-8”."
)
_PROBLEMS: dict[str, tuple[str, str]] = {
    "encrypted": (
        "is protected by a password, so it cannot be opened here.",
        "Open it in Excel, take the password off under File → Info → Protect Workbook, save it, and upload "
        "it again.",
    ),
    "too-large": ("is larger inside than a table of texts can be, so it was not opened.", _SMALLER),
    "too-slow": (f"could not be read within {SECONDS:.0f} seconds.", _SMALLER),
    "damaged": ("is damaged, or not the workbook it seems to be.", FROM_EXCEL),
    "no-sheet": ("has no such sheet.", "Choose one of its sheets."),
}


@dataclass(frozen=True)
class Workbook:
    """The sheet that was read, and the names of all that could be."""

    sheets: tuple[str, ...]
    sheet: str
    cells: Sheet


def read_workbook(data: bytes, file_name: str, sheet: str | None, at_most: int | None) -> Workbook:
    """Read one sheet, by default the first that holds text. Raises EngineFailure with the reason in words."""
    if is_encrypted(data):
        raise _fail(file_name, "encrypted")
    wanted = None if at_most is None else at_most + _MARGIN
    with tempfile.NamedTemporaryFile() as workbook, tempfile.TemporaryFile() as answer:
        workbook.write(data)
        workbook.flush()
        problem = _run_reader(workbook.name, {"sheet": sheet, "at_most": wanted}, answer)
        answer.seek(0)
        lines: list[Any] = (
            [json.loads(line) for line in answer] if problem is None else [{"problem": problem}]
        )
    head = lines[0]
    if "problem" in head:
        raise _fail(file_name, head["problem"])
    records = _drop_empty_columns([Record(number, cells) for number, cells in lines[1:]])
    findings = () if sheet is not None else _sheet_findings(head["sheets"], head["sheet"])
    cells = Sheet(records, findings, "", head["rows"], len(records) == wanted)
    return Workbook(tuple(head["sheets"]), head["sheet"], cells)


def _run_reader(path: str, request: dict[str, object], answer: IO[bytes]) -> str | None:
    """Let the child answer into a file; gives what went wrong if it was stopped."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-X", "utf8", str(_READER), path],
            input=json.dumps(request).encode(),
            stdout=answer,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "too-slow"
    if done.returncode == 0:
        return None
    # Native code that is refused memory ends by a signal, like a process over its limits.
    return "too-large" if done.returncode < 0 else "damaged"


def _drop_empty_columns(records: list[Record]) -> list[Record]:
    """Without the columns that only keep a distance from the edge or from each other."""
    width = len(records[0].cells) if records else 0
    filled = [place for place in range(width) if any(record.cells[place].strip() for record in records)]
    return [Record(record.number, [record.cells[place] for place in filled]) for record in records]


def _sheet_findings(sheets: list[str], sheet: str) -> tuple[Finding, ...]:
    if len(sheets) < 2:
        return ()
    message = f"This workbook has {len(sheets)} sheets. “{sheet}” was read: the first one with text."
    return (Finding(severity="note", kind="sheet", message=message, remedy="Choose another one if needed."),)


def _fail(file_name: str, problem: str) -> EngineFailure:
    what, remedy = _PROBLEMS[problem]
    return EngineFailure("bad_request", f"“{file_name}” {what}", "Nothing was changed.", remedy)
