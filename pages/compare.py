"""Compare: one prompt, two answers side by side, both as they are written."""

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from engine.contract.records import MAX_PROMPT_CHARACTERS, MAX_TURNS, AnswerRequest, Example, Run
from studio.comparison import CREATIVITY, DEFAULT_CREATIVITY, DEFAULT_LENGTH, LENGTH, Choice, pick_prompts
from studio.glossary import explain
from studio.journey import finished_runs
from studio.navigation import page
from studio.ui.answers import Answers, show_answers, stream
from studio.ui.notices import attempt
from studio.ui.runs import choose_run
from studio.ui.session import engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.text import shorten, show_text
from studio.wording import render_count

HELD_OUT, OWN = "Held-out examples", "My own words"
PROMPTS_OFFERED = 40
SPEAKERS = {"system": "Instruction", "user": "They", "assistant": "Your brand"}
V = TypeVar("V", int, float)


def choose_prompt(run: Run) -> tuple[str, Example | None]:
    """The prompt, and the held-out example that it is of, if any."""
    held = [example for example in engine().examples(run.dataset_id) if example.split == "validation"]
    if not held:
        return write_prompt(), None
    source = st.segmented_control(
        "Prompt from",
        [HELD_OUT, OWN],
        default=HELD_OUT,
        required=True,
        key="prompt-source",
        persist_state="session",
        help="The model has never seen the held-out examples.",
    )
    return (write_prompt(), None) if source == OWN else pick_held_out(held)


def pick_held_out(held: list[Example]) -> tuple[str, Example]:
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
    if chosen.turns:
        show_earlier_turns(chosen)
    if shorten(chosen.prompt) != chosen.prompt:
        show_text(chosen.prompt, key="whole-prompt")
    return chosen.prompt, chosen


def show_earlier_turns(example: Example) -> None:
    """What was said before the prompt: both models read it too."""
    with st.expander(f"What was said before: {render_count(len(example.turns), 'turn')}"):
        for number, turn in enumerate(example.turns):
            st.caption(SPEAKERS[turn.role])
            show_text(turn.text, key=f"turn-{number}")


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
    with st.container(horizontal=True, gap="medium"):
        creativity = choose_one("Creativity", CREATIVITY, DEFAULT_CREATIVITY, "temperature")
        length = choose_one("Length", LENGTH, DEFAULT_LENGTH, "token")
    return creativity, length


def choose_one(label: str, choices: Sequence[Choice[V]], default: Choice[V], term: str) -> V:
    """The value behind one of a few named choices, remembered for the tab."""
    by_name = {choice.name: choice for choice in choices}
    chosen = st.segmented_control(
        label,
        list(by_name),
        default=default.name,
        required=True,
        format_func=lambda name: by_name[name].label,
        key=label.lower(),
        persist_state="session",
        help=explain(term),
    )
    return by_name[chosen].value


def show_brand_text(answers: Answers) -> None:
    if answers.brand_text:
        st.subheader("What your brand wrote", anchor=False)
        st.caption("Neither model has seen this text.")
        show_text(answers.brand_text, key="brand-text")


def ask(run: Run, prompt: str, held_out: Example | None, creativity: float, length: int, seed: int) -> None:
    answers = Answers(prompt, seed, {}, {}, held_out.completion if held_out else None)
    request = AnswerRequest(
        run_id=run.id,
        prompt=prompt,
        turns=held_out.turns[-MAX_TURNS:] if held_out else (),
        temperature=creativity,
        max_tokens=length,
        seed=seed,
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
prompt, held_out = choose_prompt(run)
creativity, length = choose_sampling()
answers: Answers | None = recall(f"answers-{run.id}")
seed = recall(f"seed-{run.id}", 0)
with st.container(horizontal=True, vertical_alignment="center"):
    asked = st.button("Write both", type="primary", disabled=not prompt)
    again = bool(answers) and st.button("Another try", disabled=not prompt, help=explain("seed"))
if asked or again:
    ask(run, prompt, held_out, creativity, length, seed + 1 if again else seed)
elif answers:
    show_answers(answers, engine().brand(opened.project.id))
    show_brand_text(answers)
    show_way_on(opened, run)
