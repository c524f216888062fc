"""A person's table on screen: which sheet, which column is what, and how many rows are held out."""

import streamlit as st

from engine.contract.records import Columns
from studio.columns import VOICE_PROMPT, suggest_columns
from studio.glossary import explain
from studio.table import Table
from studio.ui.session import remember

NO_PROMPT = "There is none"
SPLIT_WHY = (
    "The held-out examples are never shown to the model. They tell whether it has learnt the voice "
    "or only your sentences, and you compare on them. The same ones stay held out when you add more."
)


def choose_columns(table: Table, name: str) -> Columns:
    """Drop-downs with what was recognised; the person's correction wins."""
    suggested = suggest_columns(table)
    prompts = [NO_PROMPT, *table.columns]
    st.subheader("Columns", anchor=False)
    st.caption(suggested.reason)
    left, right = st.columns(2)
    prompt = left.selectbox(
        "What was asked for",
        prompts,
        index=prompts.index(suggested.columns.prompt) if suggested.columns.prompt else 0,
        key=f"prompt-column-{name}",
        help=f"{explain('prompt')} Without one, every example is asked for with “{VOICE_PROMPT}”",
    )
    completion = right.selectbox(
        "What your brand wrote",
        table.columns,
        index=table.columns.index(suggested.columns.completion),
        key=f"completion-column-{name}",
        help=explain("completion"),
    )
    return Columns(prompt=None if prompt == NO_PROMPT else prompt, completion=completion)


def choose_sheet(table: Table, key: str) -> None:
    """Of a workbook with several sheets, the one that was read and the others to choose from."""
    if len(table.sheets) < 2:
        return
    chosen = st.selectbox(
        "Sheet of the workbook", table.sheets, index=table.sheets.index(table.sheet), key=f"choose-{key}"
    )
    if chosen != table.sheet:
        remember(key, chosen)
        st.rerun()


def show_split(examples_train: int, examples_validation: int) -> None:
    st.subheader("What is held out", anchor=False)
    st.markdown(
        f"**{examples_train:,}** to learn from, **{examples_validation:,}** held out to check. {SPLIT_WHY}",
        help=explain("validation"),
    )
