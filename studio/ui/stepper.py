"""The top of every project page: which voice this is, the five steps, and what a closed step still needs."""

from dataclasses import dataclass

import streamlit as st

from engine.contract.records import Dataset, Project, Run
from studio.journey import STEPS, TITLES, Step, StepStanding, stand
from studio.navigation import page
from studio.ui.notices import show_missing
from studio.ui.session import address, engine, find_project, find_run, wanted_model
from studio.ui.text import escape


@dataclass(frozen=True)
class OpenProject:
    """What every project page needs to know; lists are newest first."""

    project: Project
    datasets: list[Dataset]
    runs: list[Run]
    run: Run | None
    """The run in the address, if there is one."""
    wanted_model: str | None = None
    """The base model that was chosen in the address or in this tab; `ui/models.py` says which one is used."""

    @property
    def dataset(self) -> Dataset | None:
        return self.datasets[0] if self.datasets else None

    def address(self, run_id: str | None = None) -> dict[str, str]:
        return address(self.project.id, run_id or (self.run.id if self.run else None), self.wanted_model)


def open_project(step: Step) -> OpenProject:
    """Read the project in the address and draw the stepper; ends the page if `step` cannot be entered yet."""
    project = find_project()
    if project is None:
        show_missing(
            "Which voice?",
            "This page belongs to a voice, and the address names none that is here. It may be deleted.",
            "Go to your voices",
            "home",
            {},
        )
        raise AssertionError("unreachable")
    runs = engine().runs(project.id)
    opened = OpenProject(
        project, engine().datasets(project.id), runs, find_run(runs), wanted_model(project.id)
    )
    standing = stand(opened.datasets, opened.runs)
    _show_stepper(opened, step, standing)
    if not standing[step].is_open:
        mend_at = standing[step].mend_at
        show_missing(
            TITLES[step],
            _closed_sentence(standing[step]),
            f"Go to {TITLES[mend_at]}",
            mend_at,
            opened.address(),
        )
    return opened


def _closed_sentence(standing: StepStanding) -> str:
    return f"Nothing here yet. {standing.missing}"


def _show_stepper(opened: OpenProject, current: Step, standing: dict[Step, StepStanding]) -> None:
    st.caption(f"Voice: **{escape(opened.project.name)}**")
    with st.container(horizontal=True, gap="small", key="stepper", wrap=False):
        for step in STEPS:
            _show_step(opened, standing[step], step == current)


def _show_step(opened: OpenProject, standing: StepStanding, is_current: bool) -> None:
    title = TITLES[standing.step]
    state = "current" if is_current else "open" if standing.is_open else "closed"
    with st.container(key=f"step-{state}-{standing.step}", width="content"):
        st.page_link(
            page(standing.step),
            label=title,
            icon=":material/check:" if standing.is_done else None,
            help=standing.missing or None,
            query_params=opened.address(),
        )
