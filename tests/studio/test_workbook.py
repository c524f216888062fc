"""Workbooks arrive as a person sees them, and none of them can hurt the studio."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_EXAMPLES
from studio.files import read_file
from studio.table import Table

WriteWorkbook = Callable[..., bytes]
DATE, MOMENT = 1, 2
MEGABYTE = 2**20


def kinds(table: Table) -> list[str]:
    return [finding.kind for finding in table.findings]


def test_cells_arrive_as_a_person_sees_them(write_workbook: WriteWorkbook) -> None:
    texts = ["007", "NA", " two ", "one\r\ntwo", "_x000D_", "=SUM(A1)", "é👩‍👩‍👧\u202eש", "<b>&amp;</b>"]
    seen = [
        (3.0, "3"),
        (0.1 + 0.2, "0.3"),
        (4915112345678.0, "4915112345678"),
        (-1.25, "-1.25"),
        (True, "TRUE"),
        ((46173.0, DATE), "2026-05-31"),
        ((46173.5, MOMENT), "2026-05-31 12:00:00"),
        (None, ""),
    ]
    rows = [[text, text] for text in texts] + [["Ask", cell] for cell, _ in seen]
    table = read_file(write_workbook({"Sheet1": [["Prompt", "Text"], *rows]}), "voice.xlsx")
    assert (table.kind, table.columns, table.findings) == ("workbook", ("Prompt", "Text"), ())
    assert table.column("Text") == [*texts, *(text for _, text in seen)]


def test_rows_bear_the_numbers_that_excel_shows(write_workbook: WriteWorkbook) -> None:
    rows = [["Our best texts", None], [None, None], ["Prompt", "Text"], ["a", "b"], [None, None], ["c", "d"]]
    table = read_file(write_workbook({"Sheet1": rows}), "voice.xlsx")
    assert (table.columns, [row.number for row in table.rows]) == (("Prompt", "Text"), [4, 6])
    assert kinds(table) == ["title-rows"]


def test_the_first_sheet_with_text_is_read_and_any_other_can_be(write_workbook: WriteWorkbook) -> None:
    page = [["Prompt", "Text"], ["Ask", "Answer"]]
    other = [["Frage", "Antwort"], ["a", "b"]]
    data = write_workbook(
        {"Cover": [], "Sales": [[1.0, 2.0]], "Texte & mehr": page, "Old": other, "Secret": other},
        hidden=["Secret"],
    )
    first, chosen = read_file(data, "voice.xlsx"), read_file(data, "voice.xlsx", sheet="Old")
    assert first.sheets == chosen.sheets == ("Cover", "Sales", "Texte & mehr", "Old")
    assert (first.sheet, first.columns, chosen.sheet, chosen.columns) == (
        "Texte & mehr",
        ("Prompt", "Text"),
        "Old",
        ("Frage", "Antwort"),
    )
    assert "This workbook has 4 sheets. “Texte & mehr” was read" in first.findings[0].message
    assert chosen.findings == ()


@pytest.mark.parametrize("sheet", ["Secret", "No such sheet", ""])
def test_a_sheet_that_is_not_offered_is_refused(write_workbook: WriteWorkbook, sheet: str) -> None:
    data = write_workbook(
        {"Texts": [["Prompt", "Text"], ["a", "b"]], "Secret": [["a", "b"]]}, hidden=["Secret"]
    )
    with pytest.raises(EngineFailure, match="no such sheet"):
        read_file(data, "voice.xlsx", sheet=sheet)


def test_empty_columns_at_the_edge_and_between_are_no_columns(write_workbook: WriteWorkbook) -> None:
    rows = [[None, "Our texts"], [None, "Prompt", None, "Text"], [None, "Ask", None, "Warm ears", None]]
    table = read_file(write_workbook({"Sheet1": rows}), "voice.xlsx")
    assert (table.columns, table.rows[0].cells) == (("Prompt", "Text"), ("Ask", "Warm ears"))


def test_its_name_does_not_matter(write_workbook: WriteWorkbook) -> None:
    data = write_workbook({"Sheet1": [["Prompt", "Text"], ["a", "b"]]})
    assert read_file(data, "renamed.csv") == read_file(data, "voice.xlsx")


def test_an_empty_workbook_is_a_sentence(write_workbook: WriteWorkbook) -> None:
    with pytest.raises(EngineFailure, match="no rows of examples"):
        read_file(write_workbook({"Sheet1": []}), "voice.xlsx")


def test_too_many_rows_can_be_cut_or_sampled(write_workbook: WriteWorkbook) -> None:
    rows = "".join(f"<row><c><v>{n}</v></c><c t='str'><v>Text {n}</v></c></row>" for n in range(2, 30_002))
    data = write_workbook(
        {"Sheet1": b"<row><c t='str'><v>Prompt</v></c><c t='str'><v>Text</v></c></row>" + rows.encode()}
    )
    with pytest.raises(EngineFailure) as caught:
        read_file(data, "voice.xlsx")
    assert caught.value.failure.code == "too_many_examples"
    assert "about 30,000 rows" in caught.value.failure.what_happened
    first, sample = (
        read_file(data, "voice.xlsx", limit="first"),
        read_file(data, "voice.xlsx", limit="sample"),
    )
    assert [row.number for row in first.rows] == list(range(2, MAX_EXAMPLES + 2))
    assert len(sample.rows) == MAX_EXAMPLES
    assert all(row.cells == (str(row.number), f"Text {row.number}") for row in sample.rows)


def _compound(name: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + f"{name}\0".encode("utf-16-le") + bytes(600)


def _lie_about_size(data: bytes, name: bytes) -> bytes:
    """The directory of the archive claims ten bytes for an entry that has many."""
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    return data[: at + 24] + (10).to_bytes(4, "little") + data[at + 28 :]


def _laugh() -> bytes:
    """Entities of entities: ten lines that unfold to a billion words."""
    lines = [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    return (
        f'<!DOCTYPE worksheet [<!ENTITY a0 "ha">{"".join(lines)}]><worksheet><sheetData><row>'
        "<c t='str'><v>&a9;</v></c></row></sheetData></worksheet>"
    ).encode()


BOMBS: dict[str, Callable[[], bytes]] = {
    "300 MB of spaces": lambda: b" " * (300 * MEGABYTE),
    "240 MB of spaces": lambda: b" " * (240 * MEGABYTE),
    "a cell of 200 MB": lambda: b"<row><c t='str'><v>" + b"x" * (200 * MEGABYTE) + b"</v></c></row>",
    "eight million cells": lambda: (b"<row>" + b"<c><v>1</v></c>" * 100 + b"</row>") * 80_000,
    "first and last cell": lambda: (
        b"<row><c t='str'><v>x</v></c></row><row r='1048576'><c r='XFD1048576'><v>1</v></c></row>"
    ),
    "a billion laughs": _laugh,
    "an end that never comes": lambda: b"<row><c t='str'><v>x",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_five_seconds_and_200_megabytes(
    write_workbook: WriteWorkbook, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "bomb.xlsx"
    file.write_bytes(write_workbook({"Sheet1": BOMBS[name]()}))
    code = (
        "import resource, sys; from pathlib import Path; from engine.contract.failures import EngineFailure\n"
        "from studio.files import read_file\n"
        "try: read_file(Path(sys.argv[1]).read_bytes(), 'bomb.csv')\n"
        "except EngineFailure as error: print(error.failure.code, bool(error.failure.what_to_do))\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_maxrss, used.ru_utime + used.ru_stime)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    refused, used = done.stdout.splitlines()
    kilobytes, seconds = map(float, used.split())
    assert refused == "bad_request True"
    assert kilobytes < 200 * 1024
    assert seconds < 5


def test_an_archive_that_lies_about_its_size_is_refused(write_workbook: WriteWorkbook) -> None:
    data = write_workbook({"Sheet1": BOMBS["240 MB of spaces"]()})
    with pytest.raises(EngineFailure, match=r"damaged|larger inside"):
        read_file(_lie_about_size(data, b"xl/worksheets/sheet1.xml"), "bomb.xlsx")


def test_a_workbook_that_takes_too_long_is_given_up(
    write_workbook: WriteWorkbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.workbook.SECONDS", 0.001)
    with pytest.raises(EngineFailure, match="could not be read within") as caught:
        read_file(write_workbook({"Sheet1": [["Prompt", "Text"], ["a", "b"]]}), "voice.xlsx")
    assert "CSV UTF-8" in caught.value.failure.what_to_do


def _zip(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (_compound("EncryptedPackage"), "protected by a password"),
        (_compound("Workbook"), "damaged"),
        (_compound("WordDocument"), "a Word document"),
        (_zip(**{"xl/workbook.xml": b"nothing"}), "damaged"),
        (
            _zip(**{"word/document.xml": b"x", "word/embeddings/sheet.xlsx": b"PK\x03\x04xl/"}),
            "a Word document",
        ),
        (_zip(**{"ppt/presentation.xml": b"x"}), "a presentation"),
        (_zip(**{"Index/Document.iwa": b"x"}), "a Numbers spreadsheet"),
        (_zip(mimetype=b"application/vnd.oasis.opendocument.text"), "a LibreOffice document"),
        (_zip(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"), "damaged"),
    ],
)
def test_what_cannot_be_opened_is_a_sentence_with_a_way_out(data: bytes, sentence: str) -> None:
    with pytest.raises(EngineFailure, match=sentence) as caught:
        read_file(data, "voice.csv")
    assert caught.value.failure.what_to_do


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_half_downloaded_workbook_is_a_sentence(write_workbook: WriteWorkbook, share: float) -> None:
    data = write_workbook({"Sheet1": [["Prompt", "Text"], *[["Ask", f"Answer {n}"] for n in range(50)]]})
    with pytest.raises(EngineFailure, match=r"damaged|zip archive"):
        read_file(data[: int(share * len(data))], "voice.xlsx")
