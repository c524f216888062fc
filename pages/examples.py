"""Examples: a table becomes examples; its columns are recognised, its rows checked, a part held out."""

import pandas as pd
import streamlit as st

from engine.contract.failures import EngineFailure
from engine.contract.records import (
    MAX_EXAMPLES,
    MAX_NAME_CHARACTERS,
    MIN_EXAMPLES,
    Columns,
    Dataset,
    Example,
    Finding,
    NewDataset,
)
from studio.examples import assign_split, build_examples
from studio.findings import check_window, sort_findings
from studio.navigation import page
from studio.table import Limit, Table, read_table
from studio.ui.actions import show_main_button
from studio.ui.findings import show_findings
from studio.ui.notices import attempt, say
from studio.ui.session import SAMPLE_FILE, engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.tables import choose_columns, show_preview, show_split
from studio.ui.text import clean, escape
from studio.wording import render_count

TYPES = [".csv", ".tsv", ".txt", ".jsonl"]


@st.cache_data(show_spinner="Reading your table …", max_entries=4)
def read_cached(data: bytes, name: str, limit: Limit | None) -> Table:
    return read_table(data, name, limit)


@st.cache_data(show_spinner="Checking your examples …", max_entries=4)
def check_cached(
    data: bytes, name: str, limit: Limit | None, prompt: str | None, completion: str
) -> tuple[list[Example], list[Finding]]:
    """Examples and findings of one reading of the file: a large table is not checked anew at each click."""
    examples, found = build_examples(
        read_cached(data, name, limit), Columns(prompt=prompt, completion=completion)
    )
    if examples:
        found = [*found, *check_window(examples, engine().token_counts("starter", examples))]
    return examples, sort_findings(found)


def limit_name(data: bytes, name: str) -> str:
    return f"limit-{name}-{len(data)}"


def has_sample(opened: OpenProject) -> bool:
    """True while the sample texts stand where a table of the person's own would."""
    is_offered = opened.project.is_sample and opened.dataset is None
    return bool(recall(f"sample-{opened.project.id}", is_offered))


def show_upload(opened: OpenProject) -> tuple[bytes, str] | None:
    """The file that the person brings, else the sample if they chose it."""
    uploaded = st.file_uploader(
        "Drop your table here: CSV, TSV or JSON lines",
        type=TYPES,
        key=f"upload-{opened.project.id}",
        help="One row per example. Up to 25 MB and 20,000 rows.",
    )
    if uploaded is not None:
        return uploaded.getvalue(), uploaded.name
    if has_sample(opened):
        return SAMPLE_FILE.read_bytes(), SAMPLE_FILE.name
    return None


def show_first_words(is_sample: bool) -> None:
    with st.container(key="lead-examples"):
        if is_sample:
            st.markdown("A sample to try with: what an outdoor shop was asked for, and what it wrote.")
        else:
            st.markdown(
                "Bring a table with two columns: what was asked for, and the text your brand wrote. "
                "Fifty good examples are a start; two hundred are better."
            )


def show_sample_offer(opened: OpenProject) -> None:
    st.caption("A table may look like this. The names of the columns do not matter.")
    st.table(
        pd.DataFrame(
            {
                "Prompt": ["Describe our wool beanie.", "Announce the spring sale by e-mail."],
                "Text": ["Warm ears, clear head. …", "The snow is going, and so are our winter prices. …"],
            }
        ),
        hide_index=True,
        border="horizontal",
    )
    if st.button("Use the sample texts instead", type="tertiary"):
        remember(f"sample-{opened.project.id}", True)
        st.rerun()


def read_or_explain(data: bytes, name: str) -> Table | None:
    """The table, or None after the reason and the way out have been said."""
    limit_key = limit_name(data, name)
    try:
        return read_cached(data, name, recall(limit_key))
    except EngineFailure as error:
        say(error.failure)
        if error.failure.code == "too_many_examples":
            offer_limits(limit_key)
        return None


def offer_limits(limit_key: str) -> None:
    with st.container(horizontal=True):
        if st.button("Take rows from everywhere", type="primary"):
            remember(limit_key, "sample")
            st.rerun()
        if st.button("Take the first rows"):
            remember(limit_key, "first")
            st.rerun()


def add_to_existing(opened: OpenProject, examples: list[Example]) -> list[Example]:
    """What is saved: the new examples alone, or together with those of the version before."""
    if opened.dataset is None:
        return examples
    replace = "Replace the examples that are there"
    choice = st.radio("These examples shall", [replace, "Come on top of them"], label_visibility="collapsed")
    if choice == replace:
        return examples
    return assign_split([*engine().examples(opened.dataset.id), *examples])


def review(opened: OpenProject, data: bytes, name: str) -> None:
    """From the bytes to the one button that keeps the examples."""
    table = read_or_explain(data, name)
    if table is None:
        return
    columns = choose_columns(table, name)
    examples, found = check_cached(
        data, name, recall(limit_name(data, name)), columns.prompt, columns.completion
    )
    examples = add_to_existing(opened, examples)
    show_findings(found)
    if examples:
        held_out = sum(example.split == "validation" for example in examples)
        show_split(len(examples) - held_out, held_out)
        show_preview(examples)
    offer_to_keep(opened, name, columns, examples)


def keep(opened: OpenProject, name: str, columns: Columns, examples: list[Example]) -> None:
    dataset = NewDataset(source_name=clean(name)[-MAX_NAME_CHARACTERS:], columns=columns, examples=examples)
    engine().create_dataset(opened.project.id, dataset)


def offer_to_keep(opened: OpenProject, name: str, columns: Columns, examples: list[Example]) -> None:
    enough = MIN_EXAMPLES <= len(examples) <= MAX_EXAMPLES
    label = f"Use these {render_count(len(examples), 'example')}" if enough else "Use these examples"
    needed = (
        f"It takes between {MIN_EXAMPLES} and {MAX_EXAMPLES:,} usable examples; there are {len(examples):,}."
    )
    note = f"From {escape(name)}. Nothing is tuned yet." if enough else needed
    if show_main_button(label, note, disabled=not enough) and attempt(
        lambda: keep(opened, name, columns, examples)
    ):
        forget(f"sample-{opened.project.id}")
        st.switch_page(page("method"), query_params=opened.address())


def show_kept(dataset: Dataset) -> None:
    """The examples this voice has now."""
    count = dataset.examples_train + dataset.examples_validation
    with st.container(key="lead-kept"):
        st.markdown(
            f"{render_count(count, 'example')} from {escape(dataset.source_name)}, ready to learn from."
        )
    show_split(dataset.examples_train, dataset.examples_validation)
    show_preview(engine().examples(dataset.id))
    st.caption(
        f"Version {dataset.version} of this voice’s examples. Earlier runs keep the version they learnt from."
    )


def go_on(opened: OpenProject) -> None:
    if show_main_button("Choose a method", "Next: how the model shall learn from them."):
        st.switch_page(page("method"), query_params=opened.address())


def start_with_examples(opened: OpenProject) -> None:
    """The page of a voice without examples: a table, or the sample."""
    show_first_words(has_sample(opened))
    if has_sample(opened):
        with st.expander("Use a table of your own instead"):
            chosen = show_upload(opened)
    else:
        chosen = show_upload(opened)
    if chosen:
        review(opened, *chosen)
    else:
        show_sample_offer(opened)


def show_examples(opened: OpenProject, dataset: Dataset) -> None:
    """The page of a voice with examples; another table can replace them or come on top."""
    show_kept(dataset)
    with st.expander("Replace or add examples"):
        if chosen := show_upload(opened):
            review(opened, *chosen)
    if not chosen:
        go_on(opened)


opened = open_project("examples")
st.title("Your examples", anchor=False)
if opened.dataset is None:
    start_with_examples(opened)
else:
    show_examples(opened, opened.dataset)
