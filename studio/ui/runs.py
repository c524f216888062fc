"""Which run a page shows: the one in the address, and a selector once there are several."""

from collections.abc import Callable, Sequence

import streamlit as st

from engine.contract.records import Run
from studio.recipes import METHOD_TEXTS
from studio.ui.session import set_run


def name_run(run: Run) -> str:
    """What a person calls it: "Run 3, LoRA"."""
    return f"Run {run.number}, {METHOD_TEXTS[run.recipe.method].title}"


def choose_run(
    runs: Sequence[Run], addressed: Run | None, label: str, describe: Callable[[Run], str] = name_run
) -> Run:
    """The addressed run if it is among `runs`, else their first; another choice changes the address."""
    by_id = {run.id: run for run in runs}
    current = by_id.get(addressed.id if addressed else "", runs[0])
    if len(by_id) == 1:
        return current
    chosen = st.selectbox(
        label,
        list(by_id),
        index=list(by_id).index(current.id),
        format_func=lambda run_id: describe(by_id[run_id]),
        # With the same key the browser would go on showing the label of an earlier state.
        key=f"run-{current.id}-{current.state}",
        width=420,
    )
    if chosen != current.id:
        set_run(chosen)
        st.rerun()
    return current
