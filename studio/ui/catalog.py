"""The base models of this machine as a list: what each is, where it lies, and a way to remove it."""

from collections.abc import Sequence

import streamlit as st

from engine.contract.records import BaseModelInfo
from studio.base_models import explain_removal, render_copy, render_facts
from studio.glossary import explain
from studio.ui.notices import attempt
from studio.ui.session import engine
from studio.ui.text import escape


def show_models(models: Sequence[BaseModelInfo]) -> None:
    st.subheader("Base models", anchor=False)
    st.caption("A base model knows the language; tuning teaches it your voice.")
    for number, model in enumerate(models):
        with st.container(key=f"row-model-{number}", gap="xsmall"):
            _show_model(model, number)


def _show_model(model: BaseModelInfo, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        note = "  :gray[comes with Voicewright]" if model.is_bundled else ""
        st.markdown(f"**{escape(model.title)}**{note}")
        if model.can_be_removed and st.button("Remove", key=f"remove-model-{number}", type="tertiary"):
            _confirm_removal(model)
    if model.problem:
        st.markdown(f":orange[:material/warning:] {escape(model.problem)}")
        _offer_another_try(model, number)
        return
    if model.description:
        st.caption(escape(model.description))
    st.caption(escape(render_facts(model)), help=explain("parameters"))
    if copy := render_copy(model):
        st.caption(escape(copy))
    if model.path:
        st.caption(f"{'Folder' if model.source == 'folder' else 'File'}: {escape(model.path)}")


def _offer_another_try(model: BaseModelInfo, number: int) -> None:
    asked = model.can_try_again and st.button("Try again", key=f"unpack-model-{number}")
    if asked and attempt(lambda: engine().unpack_again()):
        st.rerun()


@st.dialog("Remove this base model?")
def _confirm_removal(model: BaseModelInfo) -> None:
    st.markdown(
        f"**{escape(model.title)}** leaves the list. {explain_removal(model)} Voices that were tuned on it "
        "are kept, but cannot answer until it is added again."
    )
    with st.container(horizontal=True):
        if st.button("Remove it", type="primary") and attempt(lambda: engine().remove_model(model.name)):
            st.rerun()
        if st.button("Keep it"):
            st.rerun()
