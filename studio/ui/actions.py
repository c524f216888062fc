"""The one obvious next step of a long page: a primary button that stays in sight at the bottom."""

import streamlit as st


def show_main_button(label: str, note: str = "", disabled: bool = False) -> bool:
    """True if it was pressed. `note` says what pressing it means, or why it cannot be pressed yet."""
    with (
        st.bottom,
        st.container(horizontal=True, vertical_alignment="center", gap="small", key="main-action"),
    ):
        pressed = st.button(label, type="primary", disabled=disabled, key="main-button")
        if note:
            st.caption(note, width="content")
    return pressed
