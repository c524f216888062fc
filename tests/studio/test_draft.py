"""A draft: every change can be taken back, to exactly what was there."""

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.records import Example
from studio.draft import Draft

LAMPS = tuple(Example(prompt=f"Lamp {i}?", completion=f"Lamp {i} glows.", row=i + 2) for i in range(5))


def test_a_change_is_remembered_with_its_sentence_and_can_be_undone() -> None:
    draft = Draft(LAMPS).change(LAMPS[1:], "Row 2 was left out.")
    assert draft.examples == LAMPS[1:]
    assert [change.sentence for change in draft.changes] == ["Row 2 was left out."]
    assert draft.undo() == Draft(LAMPS)


def test_what_changes_nothing_is_no_change() -> None:
    draft = Draft(LAMPS)
    assert draft.change(list(LAMPS), "Nothing") is draft
    assert draft.undo() is draft


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_undoing_every_change_leads_back_to_the_file(rows: list[int]) -> None:
    draft = Draft(LAMPS)
    for step, row in enumerate(rows):
        other = draft.examples[row].model_copy(update={"completion": f"Text {step}"})
        draft = draft.change((*draft.examples[:row], other, *draft.examples[row + 1 :]), f"step {step}")
    assert len(draft.changes) == len(rows)
    for _ in rows:
        draft = draft.undo()
    assert draft == Draft(LAMPS)
