"""Ugly tables: each is read as a person means it, or refused in a sentence that names the row."""

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_EXAMPLES
from studio.files import read_file
from studio.table import MAX_FILE_BYTES, Table


def read(text: str) -> Table:
    return read_file(text.encode(), "table.csv")


def kinds(table: Table) -> dict[str, list[int]]:
    return {finding.kind: finding.rows for finding in table.findings}


@pytest.mark.parametrize(
    ("text", "columns", "cells"),
    [
        ("prompt,text\na,b\n", ("prompt", "text"), [("a", "b")]),
        ("prompt;text\na;b, c\n", ("prompt", "text"), [("a", "b, c")]),
        ("prompt\ttext\na\tb, c; d\n", ("prompt", "text"), [("a", "b, c; d")]),
        ("prompt|text\na|b\n", ("prompt", "text"), [("a", "b")]),
        ("prompt,text\ra,b\r", ("prompt", "text"), [("a", "b")]),
        ("prompt,text\r\na,b\r\n", ("prompt", "text"), [("a", "b")]),
        ('prompt,text\na,"one\r\ntwo"\n', ("prompt", "text"), [("a", "one\r\ntwo")]),
        ('prompt,text\na,"say ""hi"""\n', ("prompt", "text"), [("a", 'say "hi"')]),
        ('prompt,text\na,5" pipe\n', ("prompt", "text"), [("a", '5" pipe')]),
        ('"prompt", "text"\n"a", "b, c"\n', ("prompt", "text"), [("a", "b, c")]),
        ("sep=;\nprompt;text\na;b, c\n", ("prompt", "text"), [("a", "b, c")]),
        ("prompt,text,,\na,b,,\n", ("prompt", "text"), [("a", "b")]),
        ("prompt,text\nNA,null\n007, 1 \n", ("prompt", "text"), [("NA", "null"), ("007", " 1 ")]),
        (
            "Text\nHello, world\nFoo\nBar, baz, qux\n",
            ("Text",),
            [("Hello, world",), ("Foo",), ("Bar, baz, qux",)],
        ),
        ('prompt,text\na,"x\u2028y\x85z\u202e"\n', ("prompt", "text"), [("a", "x\u2028y\x85z\u202e")]),
    ],
)
def test_a_table_is_read_as_it_was_meant(
    text: str, columns: tuple[str, ...], cells: list[tuple[str, ...]]
) -> None:
    table = read(text)
    assert (table.columns, [row.cells for row in table.rows], table.findings) == (columns, cells, ())


def test_rows_are_counted_as_a_spreadsheet_counts_them() -> None:
    table = read('prompt,text\n\na,"two\nlines"\n\nb,c\n')
    assert [row.number for row in table.rows] == [3, 5]


@pytest.mark.parametrize(
    ("text", "row", "kept"),
    [
        ('prompt,text\na,"fine"\nb,"never closed\nc,"yes, it is"\nd,"more"\n', 3, ["a", "c", "d"]),
        ('prompt,text\na,fine\nb,"never closed\nc,plain\n', 3, ["a", "c"]),
        ('prompt,text\na,"fine"\nb,"never closed', 3, ["a"]),
    ],
)
def test_an_unclosed_quote_costs_its_own_row_and_is_named(text: str, row: int, kept: list[str]) -> None:
    table = read(text)
    assert kinds(table) == {"unclosed-quote": [row]}
    assert table.column("prompt") == kept


def test_quotes_inside_quotes_are_read_as_meant_and_named() -> None:
    table = read('prompt,text\na,"He said "hi" to me"\nb,fine\n')
    assert table.column("text") == ['He said "hi" to me', "fine"]
    assert kinds(table) == {"stray-quote": [2]}


def test_a_file_full_of_open_quotes_is_refused_with_the_rows() -> None:
    with pytest.raises(EngineFailure, match="rows 2, 3, 4"):
        read("prompt,text\n" + 'a,"open\n' * 40)


def test_ragged_rows_are_kept_and_named() -> None:
    table = read("prompt,text,tag\na,b,c,d\ne\nf,g,h\n")
    assert [row.cells for row in table.rows] == [("a", "b", "c"), ("e", "", ""), ("f", "g", "h")]
    assert kinds(table) == {"ragged": [2], "short-rows": [3]}


def test_commas_of_an_unquoted_sentence_do_not_cut_it() -> None:
    table = read("prompt,text\nAsk,Hello, dear world\nAsk,Foo\n")
    assert table.column("text") == ["Hello, dear world", "Foo"]
    assert kinds(table) == {"commas-joined": [2]}


@pytest.mark.parametrize(
    "first",
    ["Write about tents please,Pitch it anywhere you like tonight.", "1,null", 'Ask me,"A text, in quotes"'],
)
def test_without_a_header_the_first_row_is_an_example(first: str) -> None:
    table = read(f"{first}\nWrite about shoes,Run like the wind and never stop.\n")
    assert table.columns == ("Column 1", "Column 2")
    assert table.rows[0].number == 1
    assert "no-header" in kinds(table)


def test_title_rows_above_the_header_are_passed_over() -> None:
    table = read("Our best texts of 2024,\n,\nPrompt,Text\na,b\nc,d\n")
    assert table.columns == ("Prompt", "Text")
    assert [row.number for row in table.rows] == [4, 5]
    assert kinds(table) == {"title-rows": [1, 2]}


def test_columns_of_the_same_name_stay_apart() -> None:
    table = read("Text,Text,\na,b,c\n")
    assert table.columns == ("Text", "Text (2)", "Column 3")
    assert "duplicate-columns" in kinds(table)


def test_single_quotes_wrap_cells_only_where_they_must() -> None:
    assert read("a,b\n1,'x, y'\n2,z\n").column("b") == ["x, y", "z"]
    assert read("a,b\n1,'Tis the season\n2,z\n").column("b") == ["'Tis the season", "z"]


def test_zero_bytes_are_taken_out_and_named() -> None:
    table = read("prompt,text\na,b\x00c\nd,e\n")
    assert table.column("text") == ["bc", "e"]
    assert kinds(table) == {"zero-bytes": [2]}


def test_a_very_long_cell_is_no_error() -> None:
    assert read(f'prompt,text\na,"{"x" * 200_000}"\n').column("text") == ["x" * 200_000]


@pytest.mark.parametrize("data", [b"", b"\n\n \n", b"\xef\xbb\xbf", b"\xff\xfe", b"prompt,text\n", b"a"])
def test_nothing_in_it_is_a_sentence(data: bytes) -> None:
    with pytest.raises(EngineFailure) as caught:
        read_file(data, "table.csv")
    assert caught.value.failure.code == "bad_request"
    assert caught.value.failure.what_to_do


def test_a_file_over_25_megabytes_is_refused() -> None:
    with pytest.raises(EngineFailure, match="26 MB"):
        read_file(b"a" * (MAX_FILE_BYTES + 1), "table.csv")


def _many_rows(count: int) -> bytes:
    return (
        "prompt,text\n" + "".join(f'Ask {row},"Text {row}, in our voice"\n' for row in range(count))
    ).encode()


def test_200_000_rows_are_refused_at_once_and_the_cap_is_named() -> None:
    data = _many_rows(200_000)
    started = time.monotonic()
    with pytest.raises(EngineFailure) as caught:
        read_file(data, "table.csv")
    assert time.monotonic() - started < 2
    assert caught.value.failure.code == "too_many_examples"
    assert "about 200,000 rows" in caught.value.failure.what_happened
    assert f"{MAX_EXAMPLES:,}" in caught.value.failure.what_to_do


def test_too_many_rows_can_be_cut_or_sampled_with_their_numbers_kept() -> None:
    data = _many_rows(30_000)
    first, sample = read_file(data, "table.csv", limit="first"), read_file(data, "table.csv", limit="sample")
    assert [row.number for row in first.rows] == list(range(2, MAX_EXAMPLES + 2))
    assert len(sample.rows) == MAX_EXAMPLES
    assert sample.rows[-1].number > 29_000
    assert all(row.cells[0] == f"Ask {row.number - 2}" for row in sample.rows)
    assert sample == read_file(data, "table.csv", limit="sample")


cell_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(cell_text, cell_text), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_text_survives_a_spreadsheet(rows: list[tuple[str, str]], delimiter: str, encoding: str) -> None:
    written = [row for row in rows if any(cell.strip() for cell in row)]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("Prompt", "Text"), *rows])
    data = buffer.getvalue().encode(encoding)
    if not written:
        return
    table = read_file(data, "table.csv")
    assert [row.cells for row in table.rows] == written


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.sampled_from(["tent", "café", "don’t", "“sleep”", "für", "corazón", "20 €", "light —"]))
)
def test_western_text_survives_windows_1252(words: list[str]) -> None:
    text = " ".join(["Enjoy", *words, "tonight"])
    table = read_file(f"Prompt;Text\nAsk;{text}\n".encode("cp1252"), "table.csv")
    assert table.column("Text") == [text]
