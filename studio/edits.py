"""What was changed by hand in a grid of examples, applied to the examples themselves.

A cell that was not touched keeps its text to the last byte, whatever a grid makes of it on screen. Does not
know grids or screens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.contract.records import MAX_COMPLETION_CHARACTERS, MAX_PROMPT_CHARACTERS, Example
from studio.wording import render_count, render_rows


@dataclass(frozen=True)
class GridRow:
    """One row as the grid gives it back; `row` is None for one that was added."""

    row: int | None
    prompt: str
    completion: str


def apply_edits(
    examples: Sequence[Example], shown: Mapping[int, tuple[str, str]], edited: Sequence[GridRow]
) -> list[Example]:
    """The examples with the edits in place; `shown` has what the grid showed of each row it held.

    Rows the grid did not show stay; rows it showed and no longer has were deleted; added rows come last.
    """
    after = {row.row: row for row in edited if row.row is not None}
    kept = [
        _edit(example, shown[example.row], after[example.row]) if example.row in shown else example
        for example in examples
        if example.row not in shown or example.row in after
    ]
    added = [
        Example(prompt=row.prompt, completion=row.completion)
        for row in edited
        if row.row is None and row.prompt.strip() and row.completion.strip()
    ]
    return [*kept, *added]


def check_edits(edited: Sequence[GridRow]) -> str | None:
    """What keeps these rows from being used, in one sentence, or None."""
    half = [row for row in edited if bool(row.prompt.strip()) != bool(row.completion.strip())]
    if half:
        known = [row.row for row in half if row.row is not None]
        where = render_rows(known).capitalize() if known else "An added row"
        return f"{where} has only a prompt or only a text. Write the other one, or delete the row."
    long = [
        row
        for row in edited
        if len(row.prompt) > MAX_PROMPT_CHARACTERS or len(row.completion) > MAX_COMPLETION_CHARACTERS
    ]
    if long:
        return (
            f"{render_count(len(long), 'row')} too long: a prompt may have {MAX_PROMPT_CHARACTERS:,} "
            f"characters, a text {MAX_COMPLETION_CHARACTERS:,}."
        )
    return None


def describe_edits(before: Sequence[Example], after: Sequence[Example]) -> str:
    """What was done, in one sentence."""
    earlier = {example.row: example for example in before}
    later = {example.row: example for example in after if example.row}
    # Most are the very same objects: comparing them cell by cell would be felt at every keystroke.
    changed = sum(
        earlier[row] is not example and earlier[row] != example
        for row, example in later.items()
        if row in earlier
    )
    removed = len(earlier.keys() - later.keys())
    added = len(after) - len(later)
    counts = ((changed, "edited"), (added, "added"), (removed, "deleted"))
    parts = [f"{render_count(count, 'row')} {done}" for count, done in counts if count]
    return f"{', '.join(parts).capitalize()}." if parts else "Nothing was changed."


def _edit(example: Example, shown: tuple[str, str], row: GridRow) -> Example:
    changes = {}
    if row.prompt != shown[0]:
        changes["prompt"] = row.prompt
    if row.completion != shown[1]:
        changes["completion"] = row.completion
    return example.model_copy(update=changes) if changes else example
