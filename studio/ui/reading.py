"""Exactly what the model reads of one example: its format around it, what is learnt, and where it is cut."""

import streamlit as st

from engine.contract.records import Example, Reading, ReadingPiece
from studio.glossary import explain
from studio.ui.session import engine
from studio.ui.text import escape, isolate, shorten
from studio.wording import render_count

LEGEND = (
    "Green is what the model learns to write. The rest it only reads: what was asked, and the marks that "
    "tell it who speaks."
)


# A longer list is sent to the browser at every click, and nobody looks through it.
LISTED_AT_MOST = 500


def show_reading(examples: tuple[Example, ...], base_model: str) -> None:
    """A choice among the examples, and the chosen one as the model gets it."""
    number = _choose_listed(examples) if len(examples) <= LISTED_AT_MOST else _choose_counted(examples)
    reading = engine().reading(base_model, examples[number])
    st.caption(LEGEND)
    with st.container(key="reading"):
        for place, piece in enumerate(reading.pieces):
            _show_piece(piece, place)
    st.caption(_describe(reading), help=explain("token"))


def _choose_listed(examples: tuple[Example, ...]) -> int:
    return st.selectbox(
        "Example",
        range(len(examples)),
        format_func=lambda index: _name(examples[index]),
        key="reading-example",
    )


def _choose_counted(examples: tuple[Example, ...]) -> int:
    count = len(examples)
    number = st.number_input(f"Example, of {count:,}", 1, count, key="reading-example-of-many", width=240) - 1
    st.caption(escape(_name(examples[number])))
    return number


def _name(example: Example) -> str:
    return f"Row {example.row}: {shorten(example.prompt, 70)}"


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
