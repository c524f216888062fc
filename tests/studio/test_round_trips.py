"""Any text comes back byte by byte, whatever file it was saved in and in whatever encoding."""

import csv
import io
import json
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.contract.records import Turn
from studio.files import read_file, read_pasted
from studio.table import Table

Rows = list[tuple[str, str]]
HEADER = ("Prompt", "Text")
ROLES: tuple[Literal["user"], Literal["assistant"]] = ("user", "assistant")
modest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
nasty = st.sampled_from(
    [
        *("NA", "null", "007", "1e5", "=1+1", " ", "\ttab", "a\r\nb", "\u2028", "\x85", "\ufeff"),
        *("é", "e\u0301", "👩\u200d👩\u200d👧", "\u202eسلام", "donâ€™t"),
        *('"', '""', "'", ";", ",,", "\\", "#", "---", "_x000D_", "<b>&amp;", '{"a": 1}'),
    ]
)
cell = st.one_of(any_text, nasty, st.builds("{}{}".format, nasty, any_text))
filled = st.tuples(cell, cell).filter(lambda row: any(part.strip() for part in row))
rows_of_text = st.lists(filled, min_size=1, max_size=6)


def texts(table: Table) -> list[tuple[str, ...]]:
    assert table.columns == HEADER
    return [row.cells for row in table.rows]


@modest
@given(rows_of_text, st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]))
def test_a_delimited_file(rows: Rows, delimiter: str, encoding: str) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    assert texts(read_file((mark + buffer.getvalue()).encode(encoding), "voice.csv")) == rows


@modest
@given(rows_of_text, st.booleans(), st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_json(rows: Rows, is_lines: bool, is_ascii: bool, encoding: str) -> None:
    entries = [dict(zip(HEADER, row, strict=True)) for row in rows]
    lines = "\n".join(json.dumps(entry, ensure_ascii=is_ascii) for entry in entries)
    text = lines if is_lines else json.dumps(entries, ensure_ascii=is_ascii, indent=1)
    assert texts(read_file(text.encode(encoding), "voice.json")) == rows


@modest
@given(rows_of_text)
def test_a_chat(rows: Rows) -> None:
    spoken = [(first or "x", second or "x") for first, second in rows]
    turns = [Turn(role=role, text=text) for pair in spoken for role, text in zip(ROLES, pair, strict=True)]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    table = read_file(json.dumps({"messages": messages, "text": "kept"}).encode(), "chat.jsonl")
    assert table.columns == ("text", "prompt", "completion")
    assert [(row.cells[1:], row.turns) for row in table.rows] == [(spoken[-1], tuple(turns[:-2]))]


# Each example starts a process.
@settings(modest, max_examples=25)
@given(rows=rows_of_text)
def test_a_workbook(write_workbook: Callable[..., bytes], rows: Rows) -> None:
    # Two characters that XML cannot hold and that no spreadsheet writes.
    kept = [tuple(part.translate({0xFFFE: None, 0xFFFF: None}) for part in row) for row in rows]
    wanted = [row for row in kept if any(part.strip() for part in row)]
    if wanted:
        assert texts(read_file(write_workbook({"Sheet1": [HEADER, *wanted]}), "voice.xlsx")) == wanted


def _copy(rows: list[tuple[str, ...]]) -> str:
    """As Excel fills the clipboard: a cell is quoted if it holds a tab or a line break, else left alone."""
    return "".join("\t".join(map(_copy_cell, row)) + "\n" for row in rows)


def _copy_cell(text: str) -> str:
    needs_quotes = any(mark in text for mark in "\t\r\n")
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


@modest
@given(rows_of_text)
def test_copied_cells(rows: Rows) -> None:
    # A cell that begins with a quotation mark and ends nowhere could be either: no clipboard tells.
    clear = [tuple(part.lstrip('"') for part in row) for row in rows]
    wanted = [row for row in clear if any(part.strip() for part in row)]
    if wanted:
        assert texts(read_pasted(_copy([HEADER, *wanted]))) == wanted


paragraph = any_text.map(lambda text: text.replace("\r", "").replace("\n", "")).filter(
    lambda text: text.strip() and text.strip()[0] not in "#-*_={[|<" and "\t" not in text
)


@modest
@given(st.lists(paragraph, min_size=2, max_size=6), st.sampled_from(["\n\n", "\r\n\r\n", "\n \n\n"]))
def test_passages(passages: list[str], between: str) -> None:
    table = read_file(between.join([*passages, "The end, at last."]).encode(), "voice.md")
    assert table.column("Text") == [*passages, "The end, at last."]


SENTENCES = {
    "cp1252": "Don’t wait – „Größe“ zählt, für 20 € im Café. ¿Qué esperas, señora? Où êtes-vous, cœur léger…",
    "latin-1": "Große Zelte für alle, die draußen schlafen möchten. ¿Qué esperas, señora? Où êtes-vous?",
    "mac_roman": "Don’t wait – “Größe” zählt im Café. ¿Qué esperas, señora? Où êtes-vous, cœur léger…",
}


@pytest.mark.parametrize("encoding", SENTENCES)
@modest
@given(words=st.data())
def test_sentences_in_an_encoding_of_old(encoding: str, words: st.DataObject) -> None:
    # An encoding without a mark can only be told from real sentences.
    known = SENTENCES[encoding].split()
    text = " ".join([*known, *words.draw(st.lists(st.sampled_from(known), max_size=20))])
    for data, name in (
        (f"Prompt;Text\nAsk;{text}\n", "voice.csv"),
        (json.dumps({"Prompt": "Ask", "Text": text}, ensure_ascii=False), "voice.jsonl"),
        (f"{text}\n\n{text}\n", "voice.txt"),
    ):
        assert read_file(data.encode(encoding), name).column("Text")[-1] == text
