"""Where examples come in: a file, the clipboard or the sample; read, or why not and the way out."""

import pandas as pd
import streamlit as st

from engine.contract.failures import EngineFailure
from studio.background import Tell
from studio.files import FILE_TYPES
from studio.sources import Source, pasted
from studio.table import Table
from studio.ui.notices import say
from studio.ui.session import SAMPLE_FILE, recall, remember
from studio.ui.stepper import OpenProject
from studio.ui.tables import choose_sheet
from studio.ui.waiting import wait_for
from studio.upload_limit import TABLE_MEGABYTES

SMALL_BYTES = 300_000


def has_sample(opened: OpenProject) -> bool:
    """True while the sample texts stand where a table of the person's own would."""
    is_offered = opened.project.is_sample and opened.dataset is None
    return bool(recall(f"sample-{opened.project.id}", is_offered))


def bring(opened: OpenProject) -> Source | None:
    """What the person brings, as a file or from the clipboard; else the sample if they chose it."""
    uploaded = st.file_uploader(
        "Drop your file here",
        type=list(FILE_TYPES),
        max_upload_size=TABLE_MEGABYTES,
        key=f"upload-{opened.project.id}",
        help="A table (CSV, Excel, LibreOffice), JSON lines, or plain text with one text in each paragraph. "
        f"Up to {TABLE_MEGABYTES} MB and 20,000 rows.",
    )
    if uploaded is not None:
        return Source(uploaded.name, uploaded.getvalue())
    if text := _paste(opened):
        return pasted(text)
    if has_sample(opened):
        return Source(SAMPLE_FILE.name, SAMPLE_FILE.read_bytes())
    return None


def _paste(opened: OpenProject) -> str:
    with st.expander("Or paste cells from Excel or Google Sheets", icon=":material/content_paste:"):
        return st.text_area(
            "Pasted cells or texts",
            key=f"paste-{opened.project.id}",
            height=140,
            placeholder="Mark the cells in your spreadsheet, copy them, and paste them here. "
            "Texts with an empty line between them are fine too.",
            label_visibility="collapsed",
        ).strip("\n")


def show_first_words(is_sample: bool) -> None:
    with st.container(key="lead-examples"):
        if is_sample:
            st.markdown("A sample to try with: what an outdoor shop was asked for, and what it wrote.")
        else:
            st.markdown(
                "Bring what was asked for and the text your brand wrote, or just the texts. "
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


def read_or_explain(source: Source) -> Table | None:
    """The table, or None after the reason and the way out have been said."""
    limit_key, sheet_key = f"limit-{source.key}", f"sheet-{source.key}"
    limit, sheet = recall(limit_key), recall(sheet_key)

    def read(tell: Tell) -> Table:
        tell("Reading your table", 0.1)
        return source.read(limit, sheet)

    try:
        table = wait_for(
            f"table-{source.key}-{limit}-{sheet}",
            read,
            len(source.data) < SMALL_BYTES,
            "Reading your table …",
        )
    except EngineFailure as error:
        say(error.failure)
        if error.failure.code == "too_many_examples":
            _offer_limits(limit_key)
        return None
    choose_sheet(table, sheet_key)
    return table


def _offer_limits(limit_key: str) -> None:
    with st.container(horizontal=True):
        if st.button("Take rows from everywhere", type="primary"):
            remember(limit_key, "sample")
            st.rerun()
        if st.button("Take the first rows"):
            remember(limit_key, "first")
            st.rerun()
