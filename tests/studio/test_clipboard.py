"""What is pasted arrives as it was copied: cells from Excel and Google Sheets, or the text of any file."""

import pytest

from engine.contract.failures import EngineFailure
from studio.files import read_pasted


@pytest.mark.parametrize(
    ("text", "kind", "columns", "cells"),
    [
        ("Prompt\tText\nAsk\tAnswer\n", "table", ("Prompt", "Text"), [("Ask", "Answer")]),
        ("Prompt\tText\r\nAsk\tAnswer\r\n", "table", ("Prompt", "Text"), [("Ask", "Answer")]),
        # A cell of several lines is quoted, its own marks doubled; one of a single line never is.
        (
            'Prompt\tText\nAsk\t"Dear ""you"",\n\nyours"\n"Hi" she said\t5" pipe\n',
            "table",
            ("Prompt", "Text"),
            [("Ask", 'Dear "you",\n\nyours'), ('"Hi" she said', '5" pipe')],
        ),
        ('Prompt\tText\n"Quoted"\tAnswer\n', "table", ("Prompt", "Text"), [('"Quoted"', "Answer")]),
        ('"Prompt"\t"Text"\n"Ask"\t"An ""answer"""\n', "table", ("Prompt", "Text"), [("Ask", 'An "answer"')]),
        ("Prompt\tText\tNote\nAsk\tAnswer\t\n\t\tx\n", "table", ("Prompt", "Text", "Note"), None),
        (
            '"Line one\nline two"\nShort and sweet\n',
            "table",
            ("Text",),
            [("Line one\nline two",), ("Short and sweet",)],
        ),
        ('Text\n"Line one\nline two"\n', "table", ("Text",), [("Line one\nline two",)]),
        (
            'prompt,completion\n"Ask, please",Answer\n',
            "table",
            ("prompt", "completion"),
            [("Ask, please", "Answer")],
        ),
        (
            '{"prompt": "Ask", "completion": "Answer"}',
            "json-lines",
            ("prompt", "completion"),
            [("Ask", "Answer")],
        ),
        (
            "Warm socks.\nWarm heart.\n\nSleep well.",
            "passages",
            ("Text",),
            [("Warm socks.\nWarm heart.",), ("Sleep well.",)],
        ),
        ("Short and sweet\nWarm socks, warm heart\n", "passages", ("Text",), None),
        ("Dear all,\n\n\tindented by a tab.\n\nYours", "passages", ("Text",), None),
        (
            "Text\tNote\n😀\u202eשלום\te\u0301 007\n",
            "table",
            ("Text", "Note"),
            [("😀\u202eשלום", "e\u0301 007")],
        ),
    ],
)
def test_what_is_pasted_arrives_as_it_was_copied(
    text: str, kind: str, columns: tuple[str, ...], cells: list[tuple[str, ...]] | None
) -> None:
    table = read_pasted(text)
    assert (table.kind, table.columns) == (kind, columns)
    if cells is not None:
        assert [row.cells for row in table.rows] == cells


def test_rows_are_numbered_as_they_were_copied() -> None:
    table = read_pasted('Prompt\tText\nAsk\t"Two\nlines"\n\t\nAsk\tAgain\n')
    assert [row.number for row in table.rows] == [2, 4]


@pytest.mark.parametrize("text", ["", "  \n \n", "Prompt\tText\n", "# Only a heading"])
def test_nothing_pasted_is_a_sentence(text: str) -> None:
    with pytest.raises(EngineFailure, match="The pasted text") as caught:
        read_pasted(text)
    assert caught.value.failure.what_to_do


def test_too_many_pasted_rows_are_refused_with_the_offer_to_sample() -> None:
    with pytest.raises(EngineFailure) as caught:
        read_pasted("Ask\tAnswer me this\n" * 20_002)
    assert caught.value.failure.code == "too_many_examples"
    assert len(read_pasted("Ask\tAnswer me this\n" * 20_002, limit="sample").rows) == 20_000
