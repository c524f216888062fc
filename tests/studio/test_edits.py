"""Edits by hand: only touched cells change, rows out of sight stay, and half a row is named."""

import pytest

from engine.contract.records import MAX_COMPLETION_CHARACTERS, Example
from studio.edits import GridRow, apply_edits, check_edits, describe_edits

EXAMPLES = [
    Example(prompt="Lamp?", completion="A lamp\r\nglows.", row=2),
    Example(prompt="Mug?", completion="A mug holds.", row=3),
    Example(prompt="Rug?", completion="A rug lies.", row=4),
]
# On screen, line breaks of Windows look like any other.
SHOWN = {2: ("Lamp?", "A lamp\nglows."), 3: ("Mug?", "A mug holds.")}


def test_a_cell_that_was_not_touched_keeps_every_byte() -> None:
    edited = [GridRow(2, "Which lamp?", "A lamp\nglows."), GridRow(3, "Mug?", "A mug holds.")]
    after = apply_edits(EXAMPLES, SHOWN, edited)
    assert after[0] == EXAMPLES[0].model_copy(update={"prompt": "Which lamp?"})
    assert after[1:] == EXAMPLES[1:]
    assert describe_edits(EXAMPLES, after) == "1 row edited."


def test_a_row_the_grid_did_not_show_is_not_lost_and_a_deleted_one_is() -> None:
    after = apply_edits(EXAMPLES, SHOWN, [GridRow(3, "Mug?", "A mug holds.")])
    assert after == EXAMPLES[1:]
    assert describe_edits(EXAMPLES, after) == "1 row deleted."


def test_added_rows_come_last_and_blank_ones_are_nothing() -> None:
    edited = [
        GridRow(2, *SHOWN[2]),
        GridRow(3, *SHOWN[3]),
        GridRow(None, "Bag?", "A bag."),
        GridRow(None, "", " "),
    ]
    after = apply_edits(EXAMPLES, SHOWN, edited)
    assert after == [*EXAMPLES, Example(prompt="Bag?", completion="A bag.")]
    assert describe_edits(EXAMPLES, after) == "1 row added."


def test_untouched_means_nothing_was_changed() -> None:
    after = apply_edits(EXAMPLES, SHOWN, [GridRow(row, *texts) for row, texts in SHOWN.items()])
    assert after == EXAMPLES and describe_edits(EXAMPLES, after) == "Nothing was changed."


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GridRow(3, "Mug?", " "), "Row 3 has only"),
        (GridRow(None, "", "A bag."), "An added row has only"),
        (GridRow(3, "Mug?", "x" * (MAX_COMPLETION_CHARACTERS + 1)), "too long"),
        (GridRow(None, "", ""), None),
        (GridRow(3, "Mug?", "Fine."), None),
    ],
)
def test_what_cannot_be_used_is_named_by_row(row: GridRow, says: str | None) -> None:
    problem = check_edits([row])
    assert problem is None if says is None else says in (problem or "")
