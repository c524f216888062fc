"""Compare: one prompt, two answers side by side, both as they are written."""

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_PROMPT_CHARACTERS, AnswerEvent, AnswerRequest, Example, Run, Side
from studio.comparison import CREATIVITY, DEFAULT_CREATIVITY, DEFAULT_LENGTH, LENGTH, pick_prompts
from studio.glossary import explain
from studio.journey import finished_runs
from studio.navigation import page
from studio.ui.notices import attempt
from studio.ui.runs import choose_run
from studio.ui.session import engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.text import isolate, shorten, show_text

HELD_BACK, OWN = "Held-out examples", "My own words"
SIDES: dict[Side, str] = {"base": "Untouched model", "tuned": "Your voice"}
PROMPTS_OFFERED = 40


@dataclass
class Answers:
    """What one try gave; lives in the tab so that a later click does not lose it."""

    prompt: str
    seed: int
    texts: dict[Side, str]
    notes: dict[Side, str]
    brand_text: str | None


def choose_prompt(run: Run) -> tuple[str, str | None]:
    """The prompt, and the brand's own text where it is a held-out example."""
    held = [example for example in engine().examples(run.dataset_id) if example.split == "validation"]
    if not held:
        return write_prompt(), None
    source = st.segmented_control(
        "Prompt from",
        [HELD_BACK, OWN],
        default=HELD_BACK,
        required=True,
        key="prompt-source",
        persist_state="session",
        help="The model has never seen the held-out examples.",
    )
    return (write_prompt(), None) if source == OWN else pick_held_back(held)


def pick_held_back(held: list[Example]) -> tuple[str, str]:
    first = pick_prompts(held)
    offered = [*first, *(example for example in held if example not in first)][:PROMPTS_OFFERED]
    number = st.selectbox(
        "Prompt",
        range(len(offered)),
        format_func=lambda index: shorten(offered[index].prompt),
        key="held-out-prompt",
        persist_state="session",
    )
    chosen = offered[number]
    if shorten(chosen.prompt) != chosen.prompt:
        show_text(chosen.prompt, key="whole-prompt")
    return chosen.prompt, chosen.completion


def write_prompt() -> str:
    return st.text_area(
        "Prompt",
        placeholder="Describe our new rain jacket for the shop.",
        max_chars=MAX_PROMPT_CHARACTERS,
        key="own-prompt",
        persist_state="session",
        height=100,
    ).strip()


def choose_sampling() -> tuple[float, int]:
    """Creativity and length in words; the values behind them are in the tooltip."""
    creativity = {choice.name: choice for choice in CREATIVITY}
    length = {choice.name: choice for choice in LENGTH}
    with st.container(horizontal=True, gap="medium"):
        chosen = st.segmented_control(
            "Creativity",
            list(creativity),
            default=DEFAULT_CREATIVITY.name,
            required=True,
            format_func=lambda name: creativity[name].label,
            key="creativity",
            persist_state="session",
            help=explain("temperature"),
        )
        long = st.segmented_control(
            "Length",
            list(length),
            default=DEFAULT_LENGTH.name,
            required=True,
            format_func=lambda name: length[name].label,
            key="length",
            persist_state="session",
            help=explain("token"),
        )
    return creativity[chosen].value, length[long].value


def draw_sides() -> dict[Side, tuple[DeltaGenerator, DeltaGenerator]]:
    """Two columns; for each side a place for its text and one for the note below it."""
    places: dict[Side, tuple[DeltaGenerator, DeltaGenerator]] = {}
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


def take(
    event: AnswerEvent, answers: Answers, places: dict[Side, tuple[DeltaGenerator, DeltaGenerator]]
) -> None:
    if event.failure:
        raise EngineFailure(
            event.failure.code,
            event.failure.what_happened,
            event.failure.what_you_have,
            event.failure.what_to_do,
        )
    if event.side is None:
        for _, note in places.values():
            note.caption(render_waiting(event.waiting))
        return
    text, note = places[event.side]
    answers.texts[event.side] = answers.texts.get(event.side, "") + event.text
    text.text(isolate(answers.texts[event.side].lstrip()) or "…")
    answers.notes[event.side] = render_note(event)
    note.caption(answers.notes[event.side])


def render_waiting(waiting: int | None) -> str:
    if waiting:
        return f"{waiting} ahead of you. Your answer comes by itself."
    return "Loading the model. This takes a few seconds the first time."


def render_note(event: AnswerEvent) -> str:
    if not event.done:
        return "Writing …"
    return "Cut at the chosen length." if event.ended_by == "length" else "Ended by itself."


def show_answers(answers: Answers) -> None:
    for side, (text, note) in draw_sides().items():
        text.text(isolate(answers.texts.get(side, "").strip()) or "(It said nothing.)")
        note.caption(answers.notes.get(side, ""))


def show_brand_text(answers: Answers) -> None:
    if answers.brand_text:
        st.subheader("What your brand wrote", anchor=False)
        st.caption("Neither model has seen this text.")
        show_text(answers.brand_text, key="brand-text")


def ask(run: Run, prompt: str, brand_text: str | None, creativity: float, length: int, seed: int) -> None:
    answers = Answers(prompt, seed, {}, {}, brand_text)
    request = AnswerRequest(
        run_id=run.id, prompt=prompt, temperature=creativity, max_tokens=length, seed=seed
    )
    forget(f"answers-{run.id}")
    remember(f"seed-{run.id}", seed)
    if attempt(lambda: stream(request, answers)):
        remember(f"answers-{run.id}", answers)
        st.rerun()


def show_way_on(opened: OpenProject, run: Run) -> None:
    st.space("small")
    if st.button("Take this voice with you", icon=":material/arrow_forward:", icon_position="right"):
        st.switch_page(page("download"), query_params=opened.address(run.id))


opened = open_project("compare")
st.title("Hear the difference", anchor=False)
run = choose_run(finished_runs(opened.runs), opened.run, "Which run speaks")
prompt, brand_text = choose_prompt(run)
creativity, length = choose_sampling()
answers: Answers | None = recall(f"answers-{run.id}")
seed = recall(f"seed-{run.id}", 0)
with st.container(horizontal=True, vertical_alignment="center"):
    asked = st.button("Write both", type="primary", disabled=not prompt)
    again = bool(answers) and st.button("Another try", disabled=not prompt, help=explain("seed"))
if asked or again:
    ask(run, prompt, brand_text, creativity, length, seed + 1 if again else seed)
elif answers:
    show_answers(answers)
    show_brand_text(answers)
    show_way_on(opened, run)
