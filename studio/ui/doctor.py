"""What the doctor found, under what to do about it, with the buttons that do it and the way back."""

from collections.abc import Callable, Sequence

import streamlit as st

from engine.contract.records import Example, Finding
from studio.doctor import group_by_action
from studio.draft import Draft
from studio.repairs import REPAIRS, Repair, describe_repair, repair
from studio.ui.findings import show_finding
from studio.ui.grid import choose_rows, chosen_finding
from studio.ui.session import recall, remember
from studio.ui.text import escape
from studio.wording import render_count

ICONS = {
    "Mend with one click": ":material/build:",
    "Decide": ":material/call_split:",
    "Look at": ":material/visibility:",
    "Good to know": ":material/info:",
}
SHOWN = 6
ShowRows = Callable[[Finding], None]


def show_doctor(draft: Draft, findings: Sequence[Finding], key: str, show_rows: ShowRows) -> Draft:
    """Draw the findings; the draft as it is after whatever was pressed.

    `show_rows` draws the rows of the remark for which they were asked, beneath it.
    """
    st.subheader("What we found", anchor=False)
    draft = _show_way_back(draft)
    settled: set[str] = recall(f"settled-{key}", set())
    open_findings = [finding for finding in findings if finding.kind not in settled]
    if not open_findings:
        st.markdown("Nothing to mend. Every row can be used.")
    for action, group in group_by_action(open_findings):
        is_open = action != "Good to know"
        with st.expander(f"{action}: {render_count(len(group), 'remark')}", is_open, icon=ICONS[action]):
            for finding in group[:SHOWN]:
                draft = _show_with_buttons(draft, finding, key)
                if chosen_finding(findings, key) is finding:
                    show_rows(finding)
            if len(group) > SHOWN:
                st.caption(f"And {render_count(len(group) - SHOWN, 'more remark')} of this kind.")
    return draft


def _show_way_back(draft: Draft) -> Draft:
    if not draft.changes:
        return draft
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/check: {escape(draft.changes[-1].sentence)}", width="content")
        if st.button("Undo", key=f"undo-{draft.id}", type="tertiary", icon=":material/undo:"):
            return draft.undo()
    return draft


def _show_with_buttons(draft: Draft, finding: Finding, key: str) -> Draft:
    # The same before and after another repair, so that a quick second click is not lost.
    name = f"{key}-{finding.kind}-{hash(tuple(finding.rows))}"
    proposed = REPAIRS.get(finding.kind)
    with st.container(key=f"finding-{name}"):
        show_finding(finding)
        with st.container(horizontal=True, gap="small"):
            for way in (proposed, *proposed.others) if proposed else ():
                if st.button(way.label, key=f"{way.label}-{name}"):
                    return _apply(draft, finding, way, key)
            if _has_rows(draft, finding):
                _offer_rows(finding, key, name)
    return draft


def _offer_rows(finding: Finding, key: str, name: str) -> None:
    is_shown = chosen_finding([finding], key) is not None
    label = "Hide these rows" if is_shown else "Show these rows"
    if st.button(label, key=f"show-{name}", type="tertiary", icon=":material/table_rows:"):
        choose_rows(None if is_shown else finding, key)
        st.rerun()


def _has_rows(draft: Draft, finding: Finding) -> bool:
    """Rows that were left out stand in no grid."""
    return not {example.row for example in draft.examples}.isdisjoint(finding.rows)


def _apply(draft: Draft, finding: Finding, way: Repair, key: str) -> Draft:
    choice = way.choice or None
    after: list[Example] = repair(draft.examples, finding, choice)
    if tuple(after) == draft.examples:
        remember(f"settled-{key}", {*recall(f"settled-{key}", set()), finding.kind})
        if chosen_finding([finding], key):
            choose_rows(None, key)
        st.rerun()
    return draft.change(after, describe_repair(draft.examples, after, finding, choice))
