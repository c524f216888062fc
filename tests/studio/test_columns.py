"""The columns are suggested as a person would choose them."""

import pytest

from engine.contract.records import Columns
from studio.columns import VOICE_PROMPT, suggest_columns
from studio.table import Row, Table

SHORT, LONG = "A tent for two", "Sleep under the stars tonight, wherever the road ends and the forest begins."


def table(columns: dict[str, str], rows: int = 12) -> Table:
    cells = tuple(columns.values())
    records = tuple(Row(number, cells) for number in range(2, rows + 2))
    return Table(tuple(columns), records, (), "utf-8", ",", True)


@pytest.mark.parametrize(
    ("columns", "prompt", "completion"),
    [
        ({"Prompt": SHORT, "Text": LONG}, "Prompt", "Text"),
        ({"completion": LONG, "prompt": SHORT}, "prompt", "completion"),
        ({"Answer": SHORT, "Question": LONG}, "Question", "Answer"),
        ({"instruction": SHORT, "input": SHORT, "output": LONG}, "instruction", "output"),
        ({"ID": "7", "Brief": SHORT, "Brand copy": LONG, "Date": "2024-01-02"}, "Brief", "Brand copy"),
        ({"Spalte A": LONG, "Spalte B": SHORT}, "Spalte B", "Spalte A"),
        ({"Column 1": SHORT, "Column 2": LONG}, "Column 1", "Column 2"),
        ({"product_name": SHORT, "what we wrote": LONG}, "product_name", "what we wrote"),
        ({"Text": LONG}, None, "Text"),
        ({"Nr": "12", "Link": "https://shop.example/a", "Post": LONG}, None, "Post"),
    ],
)
def test_columns_are_chosen_by_name_and_by_length(
    columns: dict[str, str], prompt: str | None, completion: str
) -> None:
    assert suggest_columns(table(columns)).columns == Columns(prompt=prompt, completion=completion)


def test_with_texts_alone_the_prompt_is_said() -> None:
    assert VOICE_PROMPT in suggest_columns(table({"Text": LONG})).reason


def test_a_table_of_numbers_is_only_a_guess() -> None:
    assert "only a guess" in suggest_columns(table({"a": "1", "b": "2"})).reason


def test_a_column_with_gaps_is_no_prompt_while_a_full_one_is_there() -> None:
    full = table({"Kind": SHORT, "Remarks": LONG, "Text": LONG})
    rows = tuple(
        Row(row.number, (row.cells[0], row.cells[1] if row.number % 2 else "", row.cells[2]))
        for row in full.rows
    )
    gappy = Table(full.columns, rows, (), "utf-8", ",", True)
    assert suggest_columns(gappy).columns.prompt == "Kind"
