"""Tuning: a run as it learns: phase, progress, time left, the curve and the sentence that reads it.

Everything shown comes from the engine at each look, so a refresh, a second tab or a restart shows the same.
"""

import streamlit as st

from engine.contract.records import ACTIVE_STATES, FINAL_STATES, Desired, Metrics, Run, RunState
from studio.base_models import find_model
from studio.glossary import explain
from studio.navigation import page
from studio.progress import PHASES, build_curve, read_curve, render_gain, render_time_left
from studio.ui.charts import show_curve
from studio.ui.models import language_of, show_language
from studio.ui.notices import attempt, describe, guard
from studio.ui.runs import choose_run, name_run
from studio.ui.session import engine
from studio.ui.stepper import OpenProject, open_project
from studio.ui.text import escape
from studio.wording import render_bytes, render_duration, render_duration_range

LOOK_SECONDS = 1.0
PHASE_ORDER: tuple[RunState, ...] = ("preparing", "training", "finishing")


def describe_run(run: Run) -> str:
    return f"{name_run(run)}, {PHASES[run.state].lower()}"


def show_phases(state: RunState) -> None:
    """Where an active run is, in three words; the present one in bold."""
    words = [f"**{PHASES[name]}**" if name == state else f":gray[{PHASES[name]}]" for name in PHASE_ORDER]
    st.markdown(" &ensp;›&ensp; ".join(words))


def show_progress(metrics: Metrics) -> None:
    share = min(metrics.step / metrics.steps, 1.0) if metrics.steps else 0.0
    if metrics.state == "training":
        st.progress(
            share, f"Step {metrics.step:,} of {metrics.steps:,} · {render_time_left(metrics.seconds_left)}"
        )
    elif metrics.state == "finishing":
        st.progress(1.0, "Keeping the best version")
    else:
        st.progress(0.0, "Loading the model and your examples")


def show_sentence(sentence: str) -> None:
    with st.container(key="lead-curve"):
        st.markdown(escape(sentence))


def show_chart(run: Run, metrics: Metrics, sentence: str) -> None:
    """Under way, the axis reaches to the planned end; afterwards to the last step that was taken."""
    is_over = run.state in FINAL_STATES
    st.caption(
        "How surprised the model is by your texts, step by step; lower is better", help=explain("loss")
    )
    show_curve(
        build_curve(metrics.points),
        metrics.points[-1].step if is_over else metrics.steps or run.steps,
        sentence,
        key=f"curve-{run.id}",
        best_label="best" if is_over else "best so far",
    )


def watch(run: Run) -> None:
    """One look at a run under way; the browser asks for the next one by itself."""
    with guard():
        metrics = engine().metrics(run.id)
        if metrics.state != run.state:
            st.rerun()
        if metrics.state in ACTIVE_STATES:
            show_phases(metrics.state)
            show_progress(metrics)
        sentence = read_curve(metrics.points, metrics.state)
        if metrics.state in ACTIVE_STATES:
            show_sentence(sentence)
        if metrics.points:
            show_chart(run, metrics, sentence)


def show_ended(opened: OpenProject, run: Run) -> None:
    """A run that will not move any more."""
    metrics = engine().metrics(run.id)
    sentence = read_curve(metrics.points, run.state)
    if run.state == "succeeded":
        show_sentence(sentence)
        show_result(opened, run)
    elif run.state == "failed":
        show_failed(opened, run)
    else:
        show_sentence(sentence)
        if st.button("Choose a method", type="primary"):
            st.switch_page(page("method"), query_params=opened.address(run.id))
    if metrics.points:
        show_chart(run, metrics, sentence)


def wish(run: Run, desired: Desired) -> None:
    if attempt(lambda: engine().set_desired(run.id, desired)):
        st.rerun()


@st.dialog("Cancel this run?")
def confirm_cancel(run: Run) -> None:
    st.markdown(
        "Nothing of this run is kept. To keep what it has learnt so far, choose “Stop and keep the best” "
        "instead. Your examples and other runs stay as they are."
    )
    with st.container(horizontal=True):
        if st.button("Cancel the run", type="primary"):
            wish(run, "cancel")
        if st.button("Let it go on"):
            st.rerun()


def show_controls(run: Run) -> None:
    """Stop and cancel for a run that is under way; what was asked for already is said instead."""
    if run.desired == "stop":
        st.caption("It is stopping and keeps the best version so far. This takes a moment.")
    elif run.desired == "cancel":
        st.caption("It is being cancelled.")
    else:
        with st.container(horizontal=True):
            if run.state == "training" and st.button(
                "Stop and keep the best", help=explain("early stopping")
            ):
                wish(run, "stop")
            if st.button("Cancel", type="tertiary"):
                confirm_cancel(run)
    st.caption("You can close this page or the browser; it goes on.")


def show_waiting(run: Run) -> None:
    """States in which nothing moves, each with the one button that helps."""
    if run.state == "queued":
        st.info("This run waits for its turn and starts by itself.", icon=":material/schedule:")
        show_controls(run)
    elif run.state == "interrupted":
        st.info(
            "This run was interrupted. What it has learnt is saved, and it goes on by itself from there.",
            icon=":material/history:",
        )
        show_controls(run)
    elif run.state == "paused":
        st.info("This run is paused. What it has learnt is saved.", icon=":material/pause:")
        if st.button("Go on", type="primary"):
            wish(run, "run")


def show_failed(opened: OpenProject, run: Run) -> None:
    words = (
        describe(run.failure)
        if run.failure
        else "**This run could not finish.** Your examples are untouched."
    )
    st.warning(words, icon=":material/info:")
    if st.button("Choose another method", type="primary"):
        st.switch_page(page("method"), query_params=opened.address(run.id))


def show_result(opened: OpenProject, run: Run) -> None:
    """The way on from a finished run, and what it took against what was said before."""
    if st.button("Compare", type="primary", key="go-compare"):
        st.switch_page(page("compare"), query_params=opened.address(run.id))
    st.space("small")
    gain = render_gain(run.validation_loss_base, run.validation_loss)
    said_time = render_duration_range(run.estimate.seconds_range) if run.estimate else "nothing"
    said_memory = render_bytes(run.estimate.peak_memory_bytes) if run.estimate else "nothing"
    seconds, memory = run.seconds or 0.0, run.peak_memory_bytes or 0
    with st.grid(4, min_column_width=160):
        show_figure(
            "Surprise before", render_loss(run.validation_loss_base), "the untouched model", "validation loss"
        )
        show_figure("Surprise after", render_loss(run.validation_loss), gain, "loss")
        show_figure("Time", render_duration(seconds), f"said before: {said_time}", "estimate")
        show_figure("Memory", render_bytes(memory), f"said before: {said_memory}", "peak memory")


def show_figure(label: str, value: str, note: str, term: str) -> None:
    with st.container(gap="xxsmall"):
        st.metric(label, value, help=explain(term))
        st.caption(escape(note))


def render_loss(loss: float | None) -> str:
    return f"{loss:.2f}" if loss is not None else "–"


def show_language_of(opened: OpenProject, run: Run) -> None:
    """Say it while there is time to stop: the base model does not know the language of the examples."""
    model = find_model(engine().models(), run.recipe.base_model)
    dataset = next((one for one in opened.datasets if one.id == run.dataset_id), None)
    if model and model.languages and dataset:
        show_language(model, language_of(dataset))


opened = open_project("tuning")
left, right = st.columns([3, 2], vertical_alignment="bottom")
with right:
    run = choose_run(opened.runs, opened.run, "Run", describe_run)
left.title(name_run(run), anchor=False)
language = st.container()
if run.state in FINAL_STATES:
    show_ended(opened, run)
else:
    if run.state not in ACTIVE_STATES:
        show_waiting(run)
    st.fragment(watch, run_every=LOOK_SECONDS)(run)
    if run.state in ACTIVE_STATES:
        show_controls(run)
with language:
    show_language_of(opened, run)
