"""Plain text and Markdown give one passage a paragraph, untouched; headings and rules are left out."""

import pytest

from studio.columns import suggest_columns
from studio.files import read_file
from studio.table import Table


def read(text: str, name: str = "voice.md") -> Table:
    return read_file(text.encode(), name)


def kinds(table: Table) -> list[str]:
    return [finding.kind for finding in table.findings]


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("One.\n\nTwo.\n", ["One.", "Two."]),
        ("One.\r\n\r\nTwo.", ["One.", "Two."]),
        ("One.\r\rTwo.", ["One.", "Two."]),
        ("One.\n \t\n\n\nTwo.", ["One.", "Two."]),
        ("One,\nstill one.\n\n  Two, indented. \n\n", ["One,\nstill one.", "  Two, indented. "]),
        ("# Blog\n\nOne.\n\n## More ##\nTwo.\n", ["One.", "Two."]),
        ("Our blog\n========\n\nOne.\n\nMore\n---\nTwo.", ["One.", "Two."]),
        ("One.\n---\nTwo.\n\n* * *\n\nThree.\n___\n", ["One.", "Two.", "Three."]),
        ("---\ntitle: Blog\ntags:\n  - a\n---\n\nOne.\n\nTwo.", ["One.", "Two."]),
        ("#summer is here.\n\n#1 in comfort.", ["#summer is here.", "#1 in comfort."]),
        (
            "- dry feet\n- warm heart\n\n> Quoted.\n> Twice.",
            ["- dry feet\n- warm heart", "> Quoted.\n> Twice."],
        ),
        (
            '["Our story"](https://example.com) begins.\n\nTwo.',
            ['["Our story"](https://example.com) begins.', "Two."],
        ),
        ("1,299 tents sold.\n\n1,150 campers slept.\n\n2,000 stars seen.", None),
        ("a; b; c.\n\nd; e; f.\n\ng; h; i.", None),
        ("One\u2028still\x85one.\n\nTwo\x0bstill two.", ["One\u2028still\x85one.", "Two\x0bstill two."]),
    ],
)
def test_a_paragraph_is_a_passage(text: str, passages: list[str] | None) -> None:
    table = read(text)
    assert (table.kind, table.columns) == ("passages", ("Text",))
    assert table.column("Text") == (passages or text.split("\n\n"))
    assert [row.number for row in table.rows] == list(range(1, len(table.rows) + 1))


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        (
            "Warm socks for cold days\nPitch it, sleep well.\n",
            ["Warm socks for cold days", "Pitch it, sleep well."],
        ),
        ("Text\nOne.\nTwo.\n", ["One.", "Two."]),
        ("# Captions\nOne.\nTwo.\n", ["One.", "Two."]),
    ],
)
def test_without_empty_lines_every_line_is_a_passage(text: str, passages: list[str]) -> None:
    table = read(text, "captions.txt")
    assert table.column("Text") == passages
    assert "Every line" in table.findings[0].message


def test_what_was_left_out_is_said_by_its_name() -> None:
    table = read("# Blog\n\nOne.\n\n---\n\n# Spring\n\nTwo.")
    assert kinds(table) == ["passages", "headings"]
    assert "2 headings and 1 dividing line (“Blog”, “Spring”) were left out" in table.findings[1].message


def test_passages_are_taken_as_completions_and_the_prompt_is_proposed() -> None:
    table = read("Warm socks for cold days, and a hat.\n\nPitch it anywhere and sleep well.")
    suggested = suggest_columns(table)
    assert (suggested.columns.prompt, suggested.columns.completion) == (None, "Text")
    assert "Write in our voice." in suggested.reason


@pytest.mark.parametrize(
    "text",
    [
        "Prompt\tText\nAsk\tAnswer, in our voice\n",
        "Prompt;Text\nAsk;Answer, in our voice\n",
        'Ask me,"One answer, in our voice"\nAsk you,"Another, as well"\nAsk her,"A third, too"\n',
    ],
)
@pytest.mark.parametrize("name", ["voice.txt", "voice.md"])
def test_a_table_named_as_text_stays_a_table(text: str, name: str) -> None:
    table = read(text, name)
    assert (table.kind, len(table.columns)) == ("table", 2)


def test_a_column_of_texts_in_a_csv_stays_a_table() -> None:
    assert read("Text\nHello, world\n\nFoo\n", "voice.csv").kind == "table"
