"""What a browser tab remembers: the address (project, run), and drafts that must not get lost on a rerun.

The sole user of `st.session_state`. Whatever has to survive the tab is a row in the engine, not here.
"""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st
from platformdirs import user_data_path

from engine.contract.failures import EngineFailure
from engine.contract.records import Project, Run
from studio import engine_client
from studio.engine_client import EngineClient

SAMPLE_FILE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


def workspace() -> Path:
    """The folder of this studio, as the launcher says it."""
    named = os.environ.get("VOICEWRIGHT_WORKSPACE")
    return Path(named) if named else user_data_path("voicewright")


@st.cache_resource(show_spinner=False)
def _connect(folder: str) -> EngineClient:
    return engine_client.connect(Path(folder))


def engine() -> EngineClient:
    """The one client of this studio; it finds a restarted engine by itself."""
    return _connect(str(workspace()))


# --- the address ------------------------------------------------------------------------------------


def address(
    project_id: str | None = None, run_id: str | None = None, base_model: str | None = None
) -> dict[str, str]:
    """Query parameters that lead to the same project, run and base model."""
    named = (("project", project_id), ("run", run_id), ("model", base_model))
    return {key: value for key, value in named if value}


def find_project() -> Project | None:
    """The project in the address, or None if there is none or it was deleted."""
    project_id = st.query_params.get("project")
    if not project_id:
        return None
    try:
        return engine().project(project_id)
    except EngineFailure as error:
        if error.failure.code in ("not_found", "bad_request"):
            return None
        raise


def find_run(runs: list[Run]) -> Run | None:
    """The run in the address if it is one of these."""
    return next((run for run in runs if run.id == st.query_params.get("run")), None)


def set_run(run_id: str) -> None:
    st.query_params["run"] = run_id


def wanted_model(project_id: str) -> str | None:
    """The base model that was chosen for a project: in the address, or in this tab before."""
    named: str | None = st.query_params.get("model") or recall(f"base-model-{project_id}")
    return named


def set_model(project_id: str, name: str) -> None:
    remember(f"base-model-{project_id}", name)
    st.query_params["model"] = name


# --- drafts -----------------------------------------------------------------------------------------


def recall(name: str, default: Any = None) -> Any:
    return st.session_state.get(f"draft-{name}", default)


def remember(name: str, value: Any) -> None:
    st.session_state[f"draft-{name}"] = value


def forget(name: str) -> None:
    st.session_state.pop(f"draft-{name}", None)


def click_key(what: str) -> str:
    """One uuid per thing to be started: a double click sends the same key twice and starts one run.

    Call `forget(f"key {what}")` once the start has been answered, so that the next click is a new one.
    """
    name = f"key {what}"
    key: str = recall(name) or uuid4().hex
    remember(name, key)
    return key
