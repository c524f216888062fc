"""Findings of a check: what must be mended first, what is worth a look, what is good to know."""

from collections.abc import Sequence

import streamlit as st

from engine.contract.records import Finding, Severity
from studio.ui.text import escape
from studio.wording import render_count

HEADINGS: dict[Severity, tuple[str, str]] = {
    "error": ("To mend", ":material/error:"),
    "warning": ("Worth a look", ":material/visibility:"),
    "note": ("Good to know", ":material/info:"),
}
SHOWN = 6
ROWS_IN_MESSAGE = 5
ROWS_IN_TOOLTIP = 200


def show_findings(findings: Sequence[Finding]) -> None:
    st.subheader("What we found", anchor=False)
    if not findings:
        st.markdown("Nothing to mend. Every row can be used.")
    for severity, (heading, icon) in HEADINGS.items():
        group = [finding for finding in findings if finding.severity == severity]
        if group:
            _show_group(severity, f"{heading}: {render_count(len(group), 'remark')}", icon, group)


def _show_group(severity: Severity, label: str, icon: str, group: list[Finding]) -> None:
    with st.expander(label, expanded=severity != "note", icon=icon):
        for finding in group[:SHOWN]:
            show_finding(finding)
        if len(group) > SHOWN:
            st.caption(f"And {render_count(len(group) - SHOWN, 'more remark')} of this kind.")


def show_finding(finding: Finding) -> None:
    """The message names the first rows by itself; the tooltip has all of them."""
    rows = ", ".join(f"{row:,}" for row in finding.rows[:ROWS_IN_TOOLTIP])
    all_rows = f"Rows {rows}" if len(finding.rows) > ROWS_IN_MESSAGE else None
    st.markdown(f"**{escape(finding.message)}** {escape(finding.remedy)}", help=all_rows)
