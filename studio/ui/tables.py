"""A person's table on screen: which sheet, which column is what, and how many rows are held out."""

from dataclasses import replace

import streamlit as st

from engine.contract.records import Columns
from studio.columns import VOICE_PROMPT, suggest_columns
from studio.glossary import explain
from studio.prompt_template import check_template, render_prompts
from studio.sufficiency import Sufficiency
from studio.table import Table
from studio.ui.session import remember
from studio.ui.text import escape

NO_PROMPT = "There is none"
JOINED = "Several columns, joined"
PREVIEWED = 3
SPLIT_WHY = (
    "The held-out examples are never shown to the model. They tell whether it has learnt the voice "
    "or only your sentences, and you compare on them. The same ones stay held out when you add more."
)


def choose_columns(table: Table, key: str) -> Columns:
    """Drop-downs with what was recognised; the person's correction wins."""
    suggested = suggest_columns(table)
    st.subheader("Columns", anchor=False)
    st.caption(suggested.reason)
    left, right = st.columns(2)
    with right:
        completion = st.selectbox(
            "What your brand wrote",
            table.columns,
            index=table.columns.index(suggested.columns.completion),
            key=f"completion-column-{key}",
            help=explain("completion"),
        )
    with left:
        return _choose_prompt(table, suggested.columns, completion, key)


def _choose_prompt(table: Table, suggested: Columns, completion: str, key: str) -> Columns:
    """One column, several joined by a sentence, or none."""
    others = [name for name in table.columns if name != completion]
    offered = [NO_PROMPT, *table.columns, *([JOINED] if len(others) > 1 else [])]
    proposed = JOINED if suggested.template and JOINED in offered else suggested.prompt
    chosen = st.selectbox(
        "What was asked for",
        offered,
        index=offered.index(proposed) if proposed else 0,
        key=f"prompt-column-{key}",
        help=f"{explain('prompt')} Without one, every example is asked for with “{VOICE_PROMPT}”",
    )
    if chosen == NO_PROMPT:
        return Columns(prompt=None, completion=completion)
    if chosen == JOINED:
        return _write_template(table, others, suggested, completion, key)
    return Columns(prompt=chosen, completion=completion)


def _write_template(
    table: Table, others: list[str], suggested: Columns, completion: str, key: str
) -> Columns:
    """The sentence that joins columns, with what it makes of the first rows."""
    template = st.text_input(
        "Joined by this sentence",
        suggested.template or f"Write about {{{others[0]}}}",
        key=f"template-{key}",
        help="Names of columns stand in braces. An empty cell takes the words before it along.",
    )
    problem = check_template(template, others)
    if problem:
        st.warning(problem, icon=":material/info:")
        return Columns(prompt=suggested.prompt, completion=completion)
    first_rows = table.rows[:PREVIEWED]
    prompts = render_prompts(replace(table, rows=first_rows), template)
    for row, prompt in zip(first_rows, prompts, strict=True):
        st.caption(f"Row {row.number}: {escape(prompt)}")
    return Columns(prompt=None, completion=completion, template=template)


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


def show_amount(amount: Sufficiency) -> None:
    """Whether there are enough examples, and what to add next."""
    with st.container(key="amount"):
        st.markdown(escape(amount.sentence))
        for step in amount.next_steps:
            st.markdown(f"- {escape(step)}")


def show_split(examples_train: int, examples_validation: int) -> None:
    st.subheader("What is held out", anchor=False)
    st.markdown(
        f"**{examples_train:,}** to learn from, **{examples_validation:,}** held out to check. {SPLIT_WHY}",
        help=explain("validation"),
    )
