"""The child that opens a workbook: limits itself, then reads one sheet and writes its cells as JSON lines.

Runs as a script of its own, isolated: a workbook that is malicious or broken ends this process and nothing
else. All limits of the operating system stand here. Does not know examples, findings or sentences;
`workbook.py` starts it and reads what it writes:

    {"sheets": ["Texts", "Prices"], "sheet": "Texts", "rows": 120}     or  {"problem": "encrypted"}
    [1, ["Prompt", "Text"]]                                            a row's number and its cells
"""

import datetime
import json
import resource
import sys
import zipfile
from itertools import islice
from pathlib import Path
from typing import IO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

MEMORY_BYTES = 200 * 2**20
PROCESSOR_SECONDS = 4
ANSWER_BYTES = 64 * 2**20
# A sheet of 20,000 long texts unpacks to about 60 MB; what unpacks to this is no table of texts.
_UNPACKED_BYTES = 250 * 2**20
# Excel shows 15 digits and rounds the rest, which comes from binary fractions.
_DIGITS = ".15g"
_ROWS_LOOKED_AT = 200


def limit_process() -> None:
    """Bound memory, processor time and what is written. macOS accepts the first without holding it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ANSWER_BYTES, ANSWER_BYTES))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def render_cell(value: object) -> str:
    """A cell as a person sees it, as far as the file tells: text as it is, 3.0 as 3, dates as 2026-05-31."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return format(value, _DIGITS)
    if isinstance(value, datetime.datetime):
        day, time = value.date(), value.time().replace(microsecond=0)
        return f"{day}" if time == datetime.time() else f"{day} {time}"
    if isinstance(value, datetime.timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    return str(value)


def main(path: Path, out: IO[str]) -> None:
    limit_process()
    request = json.load(sys.stdin)
    try:
        if is_too_large(path):
            return _write(out, {"problem": "too-large"})
        with path.open("rb") as file, load_workbook(file) as workbook:
            write_sheet(workbook, request["sheet"], request["at_most"], out)
    except PasswordError:
        _write(out, {"problem": "encrypted"})
    except MemoryError:
        _write(out, {"problem": "too-large"})
    except (CalamineError, zipfile.BadZipFile):
        _write(out, {"problem": "damaged"})
    return None


def is_too_large(path: Path) -> bool:
    """Whether an archive claims to unpack to more than any table of texts would; old workbooks are none."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist()) > _UNPACKED_BYTES


def write_sheet(workbook: CalamineWorkbook, wanted: str | None, at_most: int | None, out: IO[str]) -> None:
    names = find_visible_sheets(workbook)
    if not names or (wanted is not None and wanted not in names):
        return _write(out, {"problem": "no-sheet", "sheets": names})
    name = wanted if wanted is not None else find_first_with_text(workbook, names)
    sheet = workbook.get_sheet_by_name(name)
    _write(out, {"sheets": names, "sheet": name, "rows": sheet.total_height})
    rows = ([render_cell(cell) for cell in cells] for cells in sheet.iter_rows())
    filled = ([number, cells] for number, cells in enumerate(rows, 1) if any(cells))
    for row in islice(filled, at_most):
        _write(out, row)
    return None


def find_visible_sheets(workbook: CalamineWorkbook) -> list[str]:
    """Sheets of cells that a person sees: charts and macros have none, hidden ones she may not know of."""
    return [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
    ]


def find_first_with_text(workbook: CalamineWorkbook, names: list[str]) -> str:
    return next((name for name in names if _has_text(workbook.get_sheet_by_name(name))), names[0])


def _has_text(sheet: CalamineSheet) -> bool:
    rows = sheet.to_python(nrows=_ROWS_LOOKED_AT)
    return any(isinstance(cell, str) and cell.strip() for row in rows for cell in row)


def _write(out: IO[str], value: object) -> None:
    out.write(json.dumps(value, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdout)
