"""Several columns become one prompt that reads well, whatever is missing; slips are explained."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.records import Columns
from studio.examples import build_examples
from studio.prompt_template import check_template, columns_in, render_prompts
from studio.table import Row, Table

FULL = "Write a {Format} about {Product} for {Audience}. Tone: {Tone}."


def table(
    *rows: tuple[str, ...], columns: tuple[str, ...] = ("Format", "Product", "Audience", "Tone")
) -> Table:
    numbered = tuple(Row(number, cells) for number, cells in enumerate(rows, start=2))
    return Table(columns, numbered, (), "utf-8", ",", True)


@pytest.mark.parametrize(
    ("cells", "prompt"),
    [
        (("post", "tents", "families", "warm"), "Write a post about tents for families. Tone: warm."),
        (("e-mail", "tents", "families", "warm"), "Write an e-mail about tents for families. Tone: warm."),
        (("post", "tents", " ", "warm"), "Write a post about tents. Tone: warm."),
        (("post", "tents", "families", ""), "Write a post about tents for families."),
        (("", "tents", "families", "warm"), "Write about tents for families. Tone: warm."),
        (("", "tents", "", ""), "Write about tents."),
        (("", "", "", ""), ""),
        (
            (" post ", "tents\nand poles", "{Tone}", "50 %"),
            "Write a post about tents\nand poles for {Tone}. Tone: 50 %.",
        ),
    ],
)
def test_a_missing_cell_takes_its_words_along(cells: tuple[str, ...], prompt: str) -> None:
    assert render_prompts(table(cells), FULL) == [prompt]


@pytest.mark.parametrize(
    ("template", "cells", "prompt"),
    [
        ("{Format}: {Product}", ("post", "tents"), "post: tents"),
        ("{Format}: {Product}", ("", "tents"), "tents"),
        ("{Format}: {Product}", ("post", ""), "post"),
        ("{{{Format}}} {{x}} {Product}", ("post", "tents"), "{post} {x} tents"),
        ("{ format } {PRODUCT}", ("post", "tents"), "post tents"),
        ("{Format}, {Format}", ("post", ""), "post, post"),
        ("Schreibe: {Format} über {Product}.", ("", "Zelte"), "Schreibe: über Zelte."),
    ],
)
def test_braces_and_names_are_taken_as_meant(template: str, cells: tuple[str, str], prompt: str) -> None:
    assert render_prompts(table(cells, columns=("Format", "Product")), template) == [prompt]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Write about {Product}", None),
        ("Write about { product } {{really}}", None),
        ("Write about {Prodct}", "no column “Prodct” to ask with; choose from “Format” and “Product”."),
        ("Write about {Product", "A brace is not closed"),
        ("Write about Product}", "A brace is not opened"),
        ("Write about {}", "Nothing stands between"),
        ("Write about tents", "names no column"),
        ("{{Product}}", "names no column"),
        ("", "names no column"),
    ],
)
def test_a_slip_is_explained_in_one_sentence(template: str, says: str | None) -> None:
    problem = check_template(template, ["Format", "Product"])
    assert (problem is None) if says is None else (problem is not None and says in problem)


def test_the_columns_of_a_template_are_named_once_in_order() -> None:
    assert columns_in("{b} {{c}} { a } {b}") == ("b", "a")


CELL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda cell: cell == cell.strip() and not cell.startswith(tuple("aeioAEIO"))
)


@settings(max_examples=50, deadline=None)
@given(st.tuples(CELL, CELL, CELL, CELL))
def test_full_cells_arrive_unchanged(cells: tuple[str, ...]) -> None:
    expected = f"Write a {cells[0]} about {cells[1]} for {cells[2]}. Tone: {cells[3]}."
    assert render_prompts(table(cells), FULL) == [expected]


def test_examples_are_asked_for_with_the_template() -> None:
    rows = [
        ("post", f"tent {number}", f"Sleep well, wherever you are, number {number}.") for number in range(12)
    ]
    data = table(*rows, ("", "", "A text nobody asked for."), columns=("Format", "Product", "Text"))
    columns = Columns(prompt="Format", completion="Text", template="Write a {Format} about {Product}.")
    examples, findings = build_examples(data, columns)
    assert examples[0].prompt == "Write a post about tent 0."
    assert len(examples) == 12
    assert [finding.rows for finding in findings if finding.kind == "empty-prompt"] == [[14]]
