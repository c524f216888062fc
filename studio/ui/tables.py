"""A person's table on screen: which column is what, the rows as examples, and which of them are held out."""

import pandas as pd
import streamlit as st

from engine.contract.records import Columns, Example
from studio.columns import VOICE_PROMPT, suggest_columns
from studio.glossary import explain
from studio.table import Table
from studio.ui.text import clean
from studio.wording import render_count

NO_PROMPT = "There is none"
PREVIEW_ROWS = 200
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


def show_preview(examples: list[Example]) -> None:
    rows = [
        {
            "Row": example.row,
            "Asked for": clean(example.prompt),
            "Your text": clean(example.completion),
            "Used to": "check" if example.split == "validation" else "learn",
        }
        for example in examples[:PREVIEW_ROWS]
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=min(300, 37 + 35 * len(rows)),
        column_config={
            "Row": st.column_config.NumberColumn(width=60),
            "Asked for": st.column_config.TextColumn(width="medium"),
            "Your text": st.column_config.TextColumn(width="large"),
            "Used to": st.column_config.TextColumn(width=80),
        },
        alt="The examples, one per row",
    )
    if len(examples) > PREVIEW_ROWS:
        st.caption(f"The first {PREVIEW_ROWS} of {render_count(len(examples), 'example')}.")


def show_split(examples_train: int, examples_validation: int) -> None:
    st.subheader("What is held out", anchor=False)
    st.markdown(
        f"**{examples_train:,}** to learn from, **{examples_validation:,}** held out to check. {SPLIT_WHY}",
        help=explain("validation"),
    )
