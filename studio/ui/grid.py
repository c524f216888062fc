"""The examples as a grid to mend by hand: edit, add and delete rows, all of them or those of one remark.

Typing reruns only the grid, and a large table stands on several sheets, so that a keystroke costs the same
for twenty rows and for twenty thousand. Nothing is changed until the edits are kept.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from engine.contract.records import Example, Finding
from studio.draft import Draft
from studio.edits import GridRow, apply_edits, check_edits, describe_edits
from studio.ui.session import forget, recall, remember
from studio.ui.text import clean
from studio.wording import render_count

ALL_ROWS = "All rows"
HEIGHT = 420
ROWS_ON_A_SHEET = 500


def choose_rows(finding: Finding | None, key: str) -> None:
    """From now on only the rows of this remark are shown; of all for None."""
    if finding is None:
        forget(f"filter-{key}")
    else:
        remember(f"filter-{key}", finding.kind)


def chosen_finding(findings: Sequence[Finding], key: str) -> Finding | None:
    """The remark whose rows are shown, if it is still among the findings."""
    kind = recall(f"filter-{key}")
    return next((one for one in findings if one.kind == kind), None)


def show_rows_of(finding: Finding, draft: Draft, key: str) -> None:
    """The rows of one remark, where they are asked for."""
    rows = set(finding.rows)
    _edit(draft, [example for example in draft.examples if example.row in rows], key)


def show_grid(draft: Draft, findings: Sequence[Finding], key: str) -> None:
    """All rows, unless those of a remark are shown; edits that are kept become the draft under `key`."""
    st.subheader("Your rows", anchor=False)
    finding = chosen_finding(findings, key)
    if finding is None:
        st.caption("Click into a cell to mend it. The last, empty row adds an example.")
        _edit(draft, draft.examples, key)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        rows = render_count(len(finding.rows), "row")
        st.markdown(f"Shown above, beneath the remark: {rows}.", width="content")
        if st.button("Show all rows", key=f"all-{key}", type="tertiary"):
            choose_rows(None, key)
            st.rerun()


@st.fragment
def _edit(draft: Draft, chosen: Sequence[Example], key: str) -> None:
    """One sheet of the rows, and the way to the others once its edits are kept or taken back."""
    sheets = max(1, -(-len(chosen) // ROWS_ON_A_SHEET))
    sheet_key = f"sheet-{key}-{recall(f'filter-{key}')}"
    sheet = min(recall(sheet_key, 1), sheets)
    on_sheet = chosen[(sheet - 1) * ROWS_ON_A_SHEET : sheet * ROWS_ON_A_SHEET]
    is_edited = _edit_sheet(draft, on_sheet, key, sheet)
    if sheets > 1:
        turned = _turn_sheets(sheet, sheets, is_edited, f"{sheet_key}-{sheet}")
        if turned != sheet:
            remember(sheet_key, turned)
            st.rerun()


def _turn_sheets(sheet: int, sheets: int, is_edited: bool, key: str) -> int:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        turned = st.pagination(sheets, default=sheet, key=key, disabled=is_edited)
        st.caption(
            "Keep these edits before you go to other rows."
            if is_edited
            else f"{ROWS_ON_A_SHEET:,} rows at a time.",
            width="content",
        )
    return turned


def _edit_sheet(draft: Draft, chosen: Sequence[Example], key: str, sheet: int) -> bool:
    """Whether anything was edited and not kept yet."""
    shown = {example.row: (clean(example.prompt), clean(example.completion)) for example in chosen}
    frame = pd.DataFrame(
        {
            "Row": pd.array([example.row for example in chosen], dtype="Int64"),
            "Asked for": [prompt for prompt, _ in shown.values()],
            "Your text": [completion for _, completion in shown.values()],
            "Used to": ["check" if example.split == "validation" else "learn" for example in chosen],
        }
    )
    edited = st.data_editor(
        frame,
        num_rows="dynamic",
        hide_index=True,
        height=min(HEIGHT, 72 + 35 * len(chosen)),
        disabled=["Row", "Used to"],
        key=f"grid-{key}-{draft.id}-{recall(f'filter-{key}')}-{sheet}",
        column_config={
            "Row": st.column_config.NumberColumn(width=60),
            "Asked for": st.column_config.TextColumn(width="medium"),
            "Your text": st.column_config.TextColumn(width="large"),
            "Used to": st.column_config.TextColumn(width=80),
        },
        alt="The examples, one per row, to be edited",
    )
    return _offer_to_keep(draft, shown, _read_grid(edited), key)


def _read_grid(edited: pd.DataFrame) -> list[GridRow]:
    return [
        GridRow(
            row=None if pd.isna(row) else int(row),
            prompt="" if pd.isna(prompt) else str(prompt),
            completion="" if pd.isna(completion) else str(completion),
        )
        for row, prompt, completion in zip(
            edited["Row"], edited["Asked for"], edited["Your text"], strict=True
        )
    ]


def _offer_to_keep(draft: Draft, shown: dict[int, tuple[str, str]], edited: list[GridRow], key: str) -> bool:
    after = apply_edits(draft.examples, shown, edited)
    problem = check_edits(edited)
    if problem:
        st.warning(problem, icon=":material/info:")
        return True
    if tuple(after) == draft.examples:
        return False
    described = describe_edits(draft.examples, after)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Keep these edits", key=f"keep-edits-{key}"):
            remember(key, draft.change(after, described))
            st.rerun()
        st.caption(described, width="content")
    return True
