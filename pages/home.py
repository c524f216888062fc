"""Voices: what there is, where each stands, and the one next step. The first visit says what this is."""

import streamlit as st

from engine.contract.records import MAX_NAME_CHARACTERS, NewProject, Project
from studio.journey import NextStep, decide_next
from studio.navigation import page
from studio.ui.notices import attempt
from studio.ui.session import address, engine
from studio.ui.text import escape

SAMPLE_NAME = "Outdoor shop (sample)"
PROMISES = {
    "It stays with you": "Your texts, the model and the tuning stay on this machine. There is no account.",
    "You know beforehand": "Time, memory and money are worked out for your examples before anything starts.",
    "You can take it along": "The result is a standard file that any engineer can load without Voicewright.",
}


def open_voice(project: Project) -> None:
    st.switch_page(page("examples"), query_params=address(project.id))


def create_voice(name: str, is_sample: bool = False) -> None:
    created: list[Project] = []
    new = NewProject(name=name, is_sample=is_sample)
    if attempt(lambda: created.append(engine().create_project(new))):
        open_voice(created[0])


def show_new_voice(is_first: bool) -> None:
    with (
        st.form("new-voice", border=False, clear_on_submit=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.text_input(
            "Name of the voice",
            placeholder="For example, your brand or shop",
            max_chars=MAX_NAME_CHARACTERS,
            width=340,
        )
        wanted = st.form_submit_button("Start a new voice", type="primary" if is_first else "secondary")
    if wanted and not name.strip():
        st.caption("Give the voice a name first; you can change it later.")
    elif wanted:
        create_voice(name.strip())


def show_sample_offer() -> None:
    if st.button(
        "Try it with a sample", type="tertiary", icon=":material/arrow_forward:", icon_position="right"
    ):
        open_sample()


def open_sample() -> None:
    """The sample that is already here, or a new one."""
    existing = next((project for project in engine().projects() if project.is_sample), None)
    if existing:
        open_voice(existing)
    create_voice(SAMPLE_NAME, is_sample=True)


def show_welcome() -> None:
    st.title("Teach a model to write in your brand’s voice", anchor=False)
    with st.container(key="lead-welcome"):
        st.markdown(
            "Bring a table of texts you are proud of: what was asked, and what your brand wrote. "
            "Voicewright tunes a language model on them, on your machine, and lets you hear the difference."
        )
    st.space("small")
    show_new_voice(is_first=True)
    show_sample_offer()
    st.space("medium")
    grid = st.grid(3, min_column_width=240, gap="medium")
    for title, sentence in PROMISES.items():
        with grid.cell():
            st.subheader(title, anchor=False)
            st.markdown(sentence)


def show_voice(project: Project, is_first: bool) -> None:
    coming = decide_next(engine().datasets(project.id), engine().runs(project.id))
    with st.container(key=f"row-{project.id}"):
        words, buttons = st.columns([3, 2], vertical_alignment="center")
        with words, st.container(gap="xxsmall"):
            st.subheader(escape(project.name), anchor=False)
            st.caption(coming.sentence)
        with buttons, st.container(horizontal=True, horizontal_alignment="right", key=f"end-{project.id}"):
            show_next_button(project, coming, is_first)
            show_more(project)


def show_next_button(project: Project, coming: NextStep, is_first: bool) -> None:
    if st.button(coming.label, key=f"next-{project.id}", type="primary" if is_first else "secondary"):
        st.switch_page(page(coming.step), query_params=address(project.id, coming.run_id))


def show_more(project: Project) -> None:
    chosen = st.menu_button("More", ["Rename", "Delete"], key=f"more-{project.id}", type="tertiary")
    if chosen == "Rename":
        rename(project)
    elif chosen == "Delete":
        delete(project)


@st.dialog("Rename this voice")
def rename(project: Project) -> None:
    name = st.text_input("New name", value=project.name, max_chars=MAX_NAME_CHARACTERS)
    changed = NewProject(name=name.strip() or project.name, is_sample=project.is_sample)
    if st.button("Rename", type="primary") and attempt(lambda: engine().rename_project(project.id, changed)):
        st.rerun()


@st.dialog("Delete this voice?")
def delete(project: Project) -> None:
    st.markdown(
        f"**{escape(project.name)}** goes with its examples, runs and downloads that are kept here. "
        "Files you have already saved elsewhere stay. This cannot be undone."
    )
    with st.container(horizontal=True):
        wanted = st.button("Delete for good", type="primary")
        kept = st.button("Keep it")
    if kept or (wanted and attempt(lambda: engine().delete_project(project.id))):
        st.rerun()


def show_voices(projects: list[Project]) -> None:
    st.title("Your voices", anchor=False)
    for number, project in enumerate(projects):
        show_voice(project, is_first=number == 0)
    st.space("medium")
    st.subheader("Another voice", anchor=False)
    show_new_voice(is_first=False)
    if not any(project.is_sample for project in projects):
        show_sample_offer()


if projects := engine().projects():
    show_voices(projects)
else:
    show_welcome()
