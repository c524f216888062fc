"""Two answers side by side, as they are written and afterwards: always as text, never as Markdown."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.contract.brand import Brand
from engine.contract.failures import EngineFailure
from engine.contract.records import AnswerEvent, AnswerRequest, Side
from studio.brand import check_text
from studio.ui.session import engine
from studio.ui.text import escape, isolate
from studio.wording import render_count

REMARKS_SHOWN = 6
SIDES: dict[Side, str] = {"base": "Untouched model", "tuned": "Your voice"}
Places = dict[Side, tuple[DeltaGenerator, DeltaGenerator]]
"""For each side where its text goes, and where the note below it."""


@dataclass
class Answers:
    """What one try gave; lives in the tab so that a later click does not lose it."""

    prompt: str
    seed: int
    texts: dict[Side, str]
    notes: dict[Side, str]
    brand_text: str | None


def draw_sides() -> Places:
    """Two columns; for each side a place for its text and one for the note below it."""
    places: Places = {}
    grid = st.grid(2, min_column_width=300, gap="small")
    for side, title in SIDES.items():
        with grid, st.container(key=f"card-{side}", border=True, height="stretch"):
            st.subheader(title, anchor=False)
            with st.container(key=f"quote-{side}"):
                places[side] = (st.empty(), st.empty())
    return places


def stream(request: AnswerRequest, answers: Answers) -> None:
    """Ask both sides and show each word as it comes."""
    places = draw_sides()
    for text, _ in places.values():
        text.text("…")
    with engine().stream_answers(request) as events:
        for event in events:
            take(event, answers, places)


def take(event: AnswerEvent, answers: Answers, places: Places) -> None:
    if event.failure:
        raise EngineFailure(
            event.failure.code,
            event.failure.what_happened,
            event.failure.what_you_have,
            event.failure.what_to_do,
        )
    if event.side is not None:
        answers.texts[event.side] = answers.texts.get(event.side, "") + event.text
        answers.notes[event.side] = render_note(event)
    waiting = render_waiting(event.waiting)
    for side, (text, note) in places.items():
        # Also for an empty event: it is here that a click elsewhere ends the stream.
        text.text(render_text(answers.texts.get(side, ""), "…"))
        note.caption(answers.notes.get(side, waiting))


def render_text(text: str, otherwise: str) -> str:
    return isolate(text.strip()) if text.strip() else otherwise


def render_waiting(waiting: int | None) -> str:
    if waiting:
        return f"{waiting} ahead of you. Your answer comes by itself."
    return "Loading the model. This takes a few seconds the first time."


def render_note(event: AnswerEvent) -> str:
    if not event.done:
        return "Writing …"
    return "Cut at the chosen length." if event.ended_by == "length" else "Ended by itself."


def show_answers(answers: Answers, brand: Brand) -> None:
    """Both answers with what each breaks of the brand's rules, if the brand has any."""
    for side, (text, note) in draw_sides().items():
        answer = answers.texts.get(side, "")
        text.text(render_text(answer, "(It said nothing.)"))
        note.caption(answers.notes.get(side, ""))
    if brand != Brand():
        _show_remarks(answers, brand)


def _show_remarks(answers: Answers, brand: Brand) -> None:
    st.subheader("Held against your brand’s rules", anchor=False)
    grid = st.grid(2, min_column_width=300, gap="small")
    for side, title in SIDES.items():
        remarks = check_text(answers.texts.get(side, ""), brand, answers.prompt)
        with grid.cell():
            st.markdown(
                f"**{title}**: {render_count(len(remarks), 'remark') if remarks else 'nothing to remark'}"
            )
            for remark in remarks[:REMARKS_SHOWN]:
                st.markdown(f"- {escape(remark.message)}")
            if len(remarks) > REMARKS_SHOWN:
                st.caption(f"And {render_count(len(remarks) - REMARKS_SHOWN, 'more remark')}.")
