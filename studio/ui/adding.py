"""Adding a base model: one that was found on this machine, its path, a folder looked up, or a dropped file.

The engine checks it beside whatever the person does; a page only looks how far that is.
"""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from engine.contract.failures import EngineFailure
from engine.contract.records import FolderListing, FoundModel, ModelAddition, NewModel
from studio.ui.notices import attempt, describe, guard
from studio.ui.session import engine, forget, recall, remember, workspace
from studio.ui.text import escape
from studio.upload_limit import MODEL_MEGABYTES
from studio.uploads import keep_upload
from studio.wording import render_bytes, render_duration

LOOK_SECONDS = 1.0
SHORT_SECONDS = 5.0
FOUND_SHOWN = 8
FOLDERS_SHOWN = 60
NAME_LENGTH = 100


def show_adding() -> None:
    """What is being added now, and the ways to add another."""
    st.space("small")
    st.markdown("**Add a base model**")
    st.caption(
        "A model folder (with .safetensors files) or a GGUF file, of the kinds that can be tuned here. "
        "It is checked first, and nothing leaves this machine."
    )
    going_on = _show_addition()
    _show_found(going_on)
    _show_path(going_on)
    with st.expander("Look through your folders", icon=":material/folder_open:"):
        _show_folders(going_on)
    with st.expander("Or drop a GGUF file here", icon=":material/upload_file:"):
        _show_upload(going_on)


def add(path: str, name: str = "") -> None:
    """Ask the engine to check it, and remember that this tab wants to know."""
    _follow(lambda: engine().add_model(NewModel(path=path, name=name[:NAME_LENGTH])))


def _follow(begin: Callable[[], ModelAddition]) -> None:
    begun: list[ModelAddition] = []
    if attempt(lambda: begun.append(begin())):
        remember("addition", begun[0].id)
        st.rerun()


# --- what is going on ------------------------------------------------------------------------------------


def _show_addition() -> bool:
    """How the addition of this tab, or of another, stands; True while one is being checked.

    How it ended is said once.
    """
    latest = _find_addition()
    if latest is None:
        return False
    if latest.state == "checking":
        _watch(latest)
        return True
    forget("addition")
    if latest.state == "failed" and latest.failure:
        st.warning(describe(latest.failure), icon=":material/info:")
    elif latest.model:
        st.success(f"**{escape(latest.model.title)}** can be tuned from now on.", icon=":material/check:")
    return False


def _find_addition() -> ModelAddition | None:
    additions = engine().model_additions()
    going_on = next((one for one in additions if one.state == "checking"), None)
    return going_on or next((one for one in additions if one.id == recall("addition")), None)


@st.fragment(run_every=LOOK_SECONDS)
def _watch(seen: ModelAddition) -> None:
    with guard():
        now = next((one for one in engine().model_additions() if one.id == seen.id), None)
        if now is None or now.state != "checking":
            remember("addition", recall("addition") or seen.id)
            st.rerun()
        passed = f", {render_duration(now.seconds)} so far" if now.seconds >= SHORT_SECONDS else ""
        st.markdown(f":material/hourglass_top: Checking **{escape(Path(now.path).name)}**{passed} …")
        st.caption("A large model takes a minute or two. You can leave this page; it goes on.")


# --- the four ways --------------------------------------------------------------------------------------


def _show_found(going_on: bool) -> None:
    found = engine().found_models()
    if not found:
        return
    st.caption("Found on this machine")
    shown = found if recall("all-found") else found[:FOUND_SHOWN]
    for number, model in enumerate(shown):
        _show_found_model(model, number, going_on)
    if len(shown) < len(found) and st.button(f"Show all {len(found)}", type="tertiary"):
        remember("all-found", True)
        st.rerun()


def _show_found_model(model: FoundModel, number: int, going_on: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"found-{number}"):
        wanted = st.button("Add", key=f"add-found-{number}", disabled=going_on)
        st.markdown(f"{escape(model.title)}  :gray[{model.source}, {render_bytes(model.bytes)}]")
    if wanted:
        add(model.path, model.title.rpartition("/")[2])


def _show_path(going_on: bool) -> None:
    with (
        st.form("model-path", border=False, clear_on_submit=False),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        path = st.text_input(
            "Path of its folder or GGUF file",
            placeholder="~/models/Qwen2.5-0.5B-Instruct",
            key="model-path-field",
            width=460,
        )
        wanted = st.form_submit_button("Add it", disabled=going_on)
    if wanted and path.strip():
        add(path.strip())
    elif wanted:
        st.caption("Type where the model lies, or look for it below.")


def _show_folders(going_on: bool) -> None:
    """One folder at a time, from the person's home downwards."""
    listing = _open_folder()
    if listing is None:
        return
    st.caption(f"In {escape(listing.path)}")
    if listing.is_model and st.button("Add this folder", type="primary", disabled=going_on):
        add(listing.path)
    for name in listing.gguf_files[:FOLDERS_SHOWN]:
        if st.button(f"Add {name}", key=f"gguf-{name}", icon=":material/add:", disabled=going_on):
            add(str(Path(listing.path, name)))
    places = {name: str(Path(listing.path, name)) for name in listing.folders}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Open a folder",
            list(places),
            index=None,
            placeholder=f"{len(places)} folders" if places else "No folders in here",
            key=f"folder-{listing.path}",
            disabled=not places,
            width=360,
        )
        is_up = listing.parent and st.button("Up", icon=":material/arrow_upward:")
    if is_up or chosen:
        remember("folder", listing.parent if is_up else places[str(chosen)])
        st.rerun()


def _open_folder() -> FolderListing | None:
    """The folder that was opened last; the home again if that is gone."""
    try:
        return engine().folder(recall("folder"))
    except EngineFailure as error:
        st.warning(describe(error.failure), icon=":material/info:")
        forget("folder")
        return None


def _show_upload(going_on: bool) -> None:
    st.caption(
        f"Up to {MODEL_MEGABYTES} MB; a copy is kept with your projects. "
        "For a larger file give its path above: then nothing is copied."
    )
    # Another key after each file: the one before lies in memory until then.
    number = recall("models-dropped", 0)
    uploaded = st.file_uploader(
        "A GGUF file", type=["gguf"], max_upload_size=MODEL_MEGABYTES, key=f"drop-model-{number}"
    )
    if uploaded is None or going_on:
        return
    remember("models-dropped", number + 1)
    _follow(lambda: _add_upload(uploaded.name, uploaded.getbuffer()))


def _add_upload(name: str, data: memoryview) -> ModelAddition:
    """Keeps nothing if the engine does not take it."""
    upload = keep_upload(workspace(), name, data)
    try:
        return engine().add_model(NewModel(path=str(upload.path), name=Path(name).stem[:NAME_LENGTH]))
    except EngineFailure:
        upload.discard()
        raise
