"""Exactly what the model reads of one example: its format around it, what is learnt, and where it is cut."""

import streamlit as st

from engine.contract.records import Example, Reading, ReadingPiece
from studio.glossary import explain
from studio.ui.session import engine
from studio.ui.text import isolate, shorten
from studio.wording import render_count

LEGEND = (
    "Green is what the model learns to write. The rest it only reads: what was asked, and the marks that "
    "tell it who speaks."
)


def show_reading(examples: tuple[Example, ...], base_model: str = "starter") -> None:
    """A choice among the examples, and the chosen one as the model gets it."""
    number = st.selectbox(
        "Example",
        range(len(examples)),
        format_func=lambda index: f"Row {examples[index].row}: {shorten(examples[index].prompt, 70)}",
        key="reading-example",
    )
    reading = engine().reading(base_model, examples[number])
    st.caption(LEGEND)
    with st.container(key="reading"):
        for place, piece in enumerate(reading.pieces):
            _show_piece(piece, place)
    st.caption(_describe(reading), help=explain("token"))


def _show_piece(piece: ReadingPiece, place: int) -> None:
    kind = "cut" if piece.is_cut else "learnt" if piece.learnt else "markup" if piece.is_markup else "read"
    with st.container(key=f"reading-{kind}-{place}"):
        st.text(isolate(piece.text))


def _describe(reading: Reading) -> str:
    size = (
        f"{render_count(reading.tokens, 'token')}, {reading.learnt_tokens:,} of them learnt; "
        f"the model takes in {reading.window_tokens:,} at once."
    )
    if any(piece.is_cut for piece in reading.pieces):
        return f"{size} What is struck through does not fit and is not read."
    return size
