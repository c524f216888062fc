"""The versions of a voice's examples: what changed between two of them, and the way back to one."""

from collections.abc import Sequence

import streamlit as st

from engine.contract.records import Dataset, Example
from studio.dataset_versions import VersionDifference, compare_versions
from studio.ui.notices import attempt
from studio.ui.session import engine
from studio.ui.stepper import OpenProject
from studio.ui.text import escape, shorten
from studio.wording import render_count

SHOWN = 8


def show_versions(opened: OpenProject) -> None:
    """Nothing while there is only one version."""
    if len(opened.datasets) < 2:
        return
    with st.expander(f"Earlier versions: {len(opened.datasets) - 1}", icon=":material/history:"):
        others = {dataset.version: dataset for dataset in opened.datasets[1:]}
        version = st.selectbox(
            "Compare with",
            list(others),
            format_func=lambda number: f"Version {number}, from {others[number].source_name}",
            key="compare-version",
        )
        _show_difference(others[version], opened.datasets[0])
        _offer_to_return(others[version])


def _show_difference(before: Dataset, now: Dataset) -> None:
    difference = compare_versions(engine().examples(before.id), engine().examples(now.id))
    st.markdown(escape(difference.sentence))
    _show_rewritten(difference)
    _show_list("Added", difference.added)
    _show_list("Removed", difference.removed)


def _show_rewritten(difference: VersionDifference) -> None:
    for old, new in difference.changed[:SHOWN]:
        st.caption(f"Rewritten, row {new.row}")
        st.markdown(f":red[{escape(shorten(old.completion, 200))}]")
        st.markdown(f":green[{escape(shorten(new.completion, 200))}]")
    _show_rest(len(difference.changed))


def _show_list(title: str, examples: Sequence[Example]) -> None:
    for example in examples[:SHOWN]:
        st.markdown(f"**{title}:** {escape(shorten(example.prompt))} – {escape(shorten(example.completion))}")
    _show_rest(len(examples))


def _show_rest(count: int) -> None:
    if count > SHOWN:
        st.caption(f"And {render_count(count - SHOWN, 'more example')}.")


def _offer_to_return(dataset: Dataset) -> None:
    st.caption("Going back loses nothing: the version you leave stays in this list.")
    if st.button(f"Go back to version {dataset.version}", key="return-to-version") and attempt(
        lambda: engine().use_dataset(dataset.id)
    ):
        st.rerun()
