"""Ugly files of the real world: each is read as a person means it, or refused in a sentence.

The files in `messy/` come from other projects' tests (`messy/LICENSES.md`); those written here are of the
kinds that a brand team has.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.contract.failures import EngineFailure
from studio.columns import suggest_columns
from studio.files import read_file
from studio.table import MAX_FILE_BYTES

MESSY = Path(__file__).with_name("messy")


@dataclass(frozen=True)
class Real:
    """What a file of `messy/` gives: its columns (the first few), its rows, one of them, and its findings."""

    file: str
    columns: tuple[str, ...]
    rows: int
    first: tuple[int, tuple[str, ...]]
    """Number and first cells of the first row."""
    kinds: tuple[str, ...] = ()


REAL = [
    Real("utf16be.csv", ("a", "b", "c"), 2, (2, ("1", "2", "3")), ("encoding",)),
    Real(
        "spanish_chars.csv",
        ("GF_ID", "FN_ID", "SF_ID", "GF"),
        115,
        (2, ("1", "", "", "Gobierno")),
        ("encoding",),
    ),
    Real("title_lines_cr.csv", ("Year", "Jan"), 133, (5, ("1880", "-43")), ("title-rows",)),
    Real("tiny.tsv", ("a", "b", "c"), 1, (2, ("1", "2", "3"))),
    Real("delimiter_2.csv", ("id", "species", "name", "age"), 4, (2, ("1", "dog", "Cleo", "5"))),
    Real("delimiter_4.csv", ("id", "species", "name"), 4, (2, ("1", "dog", "Cleo")), ("single-quotes",)),
    Real("quoted_newlines_crlf.csv", ("a", "b", "c"), 3, (2, ("1", "2", "3"))),
    Real("escaped_quotes.csv", ("a", "b"), 2, (2, ("1", 'ha "ha" ha'))),
    Real("empty_cells.csv", ("a", "b", "c"), 2, (2, ("1", "", ""))),
    Real(
        "ragged_rows.csv",
        ("column_a", "column_b", "column_c"),
        3,
        (2, ("1", "27", "")),
        ("ragged", "short-rows"),
    ),
    # The years above its columns are numbers, so no row can be told to name them.
    Real("title_rows_above_years.csv", ("Column 1",), 83, (3, ()), ("no-header", "short-rows")),
    Real("null_values.csv", ("Column 1", "Column 2"), 10, (1, ("1", "null")), ("no-header",)),
    Real("mac_newlines.csv", ("a", "b", "c"), 2, (2, ("1", "2", "3"))),
    Real("no_header.csv", ("Column 1", "Column 2", "Column 3"), 1, (1, ("1", "2", "3")), ("no-header",)),
    Real("pasted_from_excel.csv", ("Year", "2000"), 16, (5, ("Timber", "2,666")), ("title-rows",)),
    Real("old_excel.xls", ("date", "temperature", "place"), 6, (2, ("2011-01-01", "1", "Galway"))),
    Real("libreoffice.ods", ("Name", "Age", "When"), 3, (2, ("Bob", "20", "2010-10-10"))),
]


@pytest.mark.parametrize("case", REAL, ids=lambda case: case.file)
def test_a_real_file_is_read(case: Real) -> None:
    table = read_file((MESSY / case.file).read_bytes(), case.file)
    row = table.rows[0]
    assert table.columns[: len(case.columns)] == case.columns
    assert (len(table.rows), row.number, row.cells[: len(case.first[1])]) == (case.rows, *case.first)
    assert tuple(finding.kind for finding in table.findings) == case.kinds


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("utf8_bom_tiny.csv", "has no rows of examples"),
        ("short_row.csv", "has no rows of examples"),
        ("one_byte.csv", "has no rows of examples"),
        ("empty_libreoffice.xlsx", "has no rows of examples"),
        ("gzip_renamed.csv", "a compressed file"),
    ],
)
def test_a_real_file_without_examples_is_refused(file: str, sentence: str) -> None:
    with pytest.raises(EngineFailure, match=sentence) as caught:
        read_file((MESSY / file).read_bytes(), file)
    assert caught.value.failure.what_to_do


@dataclass(frozen=True)
class Written:
    """A file of a brand team: what it is, its bytes, its examples (prompt, text) and what is said of it."""

    what: str
    data: bytes
    examples: tuple[tuple[str | None, str], ...]
    kinds: tuple[str, ...] = ()
    name: str = "voice.csv"


def _utf16(text: str) -> bytes:
    return text.encode("utf-16")


LONG = "word, word\n" * 20_000
WRITTEN = [
    Written(
        "a European Excel export",
        "Anfrage;Text;Preis;Datum\r\n"
        "Beschreib das Zelt;„Größe zählt nicht“ – schlaf gut, für 1.299,00 €;1.299,00;31.05.2026\r\n"
        "Beschreib den Schuh;Läuft. Und läuft;89,90;01.06.2026\r\n".encode("cp1252"),
        (
            ("Beschreib das Zelt", "„Größe zählt nicht“ – schlaf gut, für 1.299,00 €"),
            ("Beschreib den Schuh", "Läuft. Und läuft"),
        ),
        ("encoding",),
    ),
    Written(
        "an Excel export that names its delimiter",
        "sep=;\r\nPrompt;Text\r\nAsk;One, two\r\n".encode("utf-8-sig"),
        (("Ask", "One, two"),),
    ),
    Written(
        "Excel's Unicode text",
        _utf16('Prompt\tText\r\nAsk\t"Two\r\nlines, “so”"\r\n'),
        (("Ask", "Two\r\nlines, “so”"),),
        ("encoding",),
        "voice.txt",
    ),
    Written(
        "a Google Sheets export with empty columns and rows",
        'Prompt,Text,Approved,,\r\nAsk,"One\nTwo 😀",TRUE,,\r\n,,,,\r\nNA,=SUM(A1),FALSE,,\r\n'.encode(),
        (("Ask", "One\nTwo 😀"), ("NA", "=SUM(A1)")),
    ),
    Written(
        "replies of a help desk with quoted mail",
        b"Ticket,Customer message,Agent reply\r\n"
        b'00123,"Hi,\r\n\r\n> On Mon, you wrote:\r\n> > Where is it?\r\n\r\nStill waiting",'
        b'"Hello Ana,\r\n\r\nit is on its way.\r\n-- \r\nTom"\r\n'
        b'00124,Is it blue?,"Yes: ""deep sea"", in fact."\r\n',
        (
            (
                "Hi,\r\n\r\n> On Mon, you wrote:\r\n> > Where is it?\r\n\r\nStill waiting",
                "Hello Ana,\r\n\r\nit is on its way.\r\n-- \r\nTom",
            ),
            ("Is it blue?", 'Yes: "deep sea", in fact.'),
        ),
    ),
    Written(
        "replies pasted one below the other",
        b"> Where is my order?\n\nHello Ana,\nit is on its way.\n\nYou are welcome, any time!\n",
        (
            (None, "> Where is my order?"),
            (None, "Hello Ana,\nit is on its way."),
            (None, "You are welcome, any time!"),
        ),
        ("passages",),
        "replies.txt",
    ),
    Written(
        "letters broken before they came here",
        "Prompt,Text\nAsk,donâ€™t wait\n".encode(),
        (("Ask", "donâ€™t wait"),),
    ),
    Written(
        "half a download",
        "Prompt,Text\nAsk,für alle\nAsk more,Größ".encode() + b"\xc3",
        (("Ask", "für alle"), ("Ask more", "Größ\ufffd")),
        ("encoding-damage",),
    ),
    Written(
        "two exports pasted into one file",
        "Prompt,Text\nAsk,für alle\nAsk you,schön\n".encode() + "Ask me,größer\n".encode("cp1252"),
        (("Ask", "für alle"), ("Ask you", "schön"), ("Ask me", "größer")),
        ("mixed-encoding",),
    ),
    Written(
        "one huge cell",
        f'Prompt,Text\nAsk,"{LONG}"\nAsk you,Short\n'.encode(),
        (("Ask", LONG), ("Ask you", "Short")),
    ),
    Written(
        "a wide export of a shop",
        (",".join(f"field_{n}" for n in range(60)) + ",Prompt,Text\n").encode()
        + (",".join("x" for _ in range(60)) + ",Ask,Warm ears\n").encode(),
        (("Ask", "Warm ears"),),
    ),
    Written("swapped columns", b"Text,Prompt\nWarm ears,Ask\n", (("Ask", "Warm ears"),)),
    Written(
        "swapped columns with names of the house",
        b"Nr,Entwurf,Anlass\n1,Warm ears and a clear head all winter long,Mail for the sale\n"
        b"2,Sleep where the stars are,Post for spring\n",
        (
            ("Mail for the sale", "Warm ears and a clear head all winter long"),
            ("Post for spring", "Sleep where the stars are"),
        ),
    ),
    Written(
        "a title above the names of the columns",
        "Acme – tone of voice 2026;;\n;;\nPrompt;Text;Owner\nAsk;Warm ears;Ana\n".encode(),
        (("Ask", "Warm ears"),),
        ("title-rows",),
    ),
    Written(
        "a CSV that was opened as one column and saved again",
        b'"Prompt,Text"\n"Ask,""Warm, always"""\n"Ask you,Sleep well"\n',
        (("Ask", "Warm, always"), ("Ask you", "Sleep well")),
        ("wrapped-rows",),
    ),
    Written(
        "a table drawn by a chat program",
        b"| Prompt | Text |\n|:--|---|\n| Ask | Warm, \\| always |\n| Ask you | Sleep well |\n",
        (("Ask", "Warm, | always"), ("Ask you", "Sleep well")),
        (),
        "voice.md",
    ),
    Written(
        "line ends of three programs",
        b"Prompt,Text\r\nAsk,One\nAsk you,Two\rAsk me,Three\n",
        (("Ask", "One"), ("Ask you", "Two"), ("Ask me", "Three")),
    ),
    Written(
        "a cell that is a command to Excel",
        b"Prompt,Text\nAsk,=cmd|' /C calc'!A0\n",
        (("Ask", "=cmd|' /C calc'!A0"),),
    ),
    Written(
        "spaces that cannot be seen",
        "Prompt;Text\nAsk;10\u00a0km\u202f!\u200b\n".encode(),
        (("Ask", "10\u00a0km\u202f!\u200b"),),
    ),
    Written(
        "JSON lines named as text",
        b'{"prompt":"Ask","completion":"Warm ears"}\n',
        (("Ask", "Warm ears"),),
        (),
        "voice.txt",
    ),
    Written(
        "a first column without a name",
        b",Prompt,Text\n1,Ask,Warm ears\n2,Ask you,Sleep well\n",
        (("Ask", "Warm ears"), ("Ask you", "Sleep well")),
    ),
    Written(
        "an ending in capitals",
        b"Prompt\tText\nAsk\tWarm, always\n",
        (("Ask", "Warm, always"),),
        (),
        "VOICE.CSV",
    ),
    Written("no ending at all", b"Prompt;Text\nAsk;Warm, always\n", (("Ask", "Warm, always"),), (), "voice"),
]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.what)
def test_a_file_of_a_brand_team_gives_its_examples(case: Written) -> None:
    table = read_file(case.data, case.name)
    columns = suggest_columns(table).columns
    prompts = table.column(columns.prompt) if columns.prompt else [None] * len(table.rows)
    assert tuple(zip(prompts, table.column(columns.completion), strict=True)) == case.examples
    assert tuple(finding.kind for finding in table.findings) == case.kinds


@pytest.mark.parametrize(
    ("what", "data", "sentence"),
    [
        ("nothing", b"", "“voice.csv” is empty"),
        ("only line breaks", b"\r\n\r\n", "“voice.csv” is empty"),
        ("only names of columns", b"Prompt,Text\n", "no rows of examples"),
        ("a PDF", b"%PDF-1.7\n", "a PDF document"),
        ("a photo", b"\xff\xd8\xff\xe0JFIF", "a picture"),
        ("a web page", b"<!DOCTYPE html><html><body><table>", "a web page"),
        ("an export that is a web page inside", b"<html><body><TABLE><tr>", "choose File → Save As"),
        (
            "an export in Excel's XML",
            b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>',
            "of 2003",
        ),
        ("a letter", b"{\\rtf1 Dear all}", "a text document"),
        ("a program", bytes(range(256)) * 40, "a file in a format of its own"),
        ("too much", b"a,b\n" * (MAX_FILE_BYTES // 4 + 1), "a file may have up to 26 MB"),
        ("quotes that never close", b"Prompt,Text\n" + b'Ask,"open\n' * 40, "never closed"),
    ],
)
def test_what_holds_no_examples_is_refused_with_a_way_out(what: str, data: bytes, sentence: str) -> None:
    with pytest.raises(EngineFailure, match=sentence) as caught:
        read_file(data, "voice.csv")
    assert caught.value.failure.code == "bad_request"
    assert caught.value.failure.what_you_have == "Nothing was changed."
    assert caught.value.failure.what_to_do
