"""The pages in the order of the journey. Knows where each page's file lies; nothing of what it shows."""

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import Page

from studio.journey import STEPS, TITLES

PageName = Literal["home", "examples", "brand", "method", "tuning", "compare", "download", "settings"]
FOLDER = Path(__file__).resolve().parent.parent / "pages"
PAGE_TITLES: dict[PageName, str] = {
    "home": "Voices",
    **{step: TITLES[step] for step in STEPS},
    "brand": "How your brand sounds",
    "settings": "Settings",
}
# Reached from within a project, not from the top.
_HIDDEN = (*STEPS, "brand")


def page(name: PageName) -> Page:
    """The page of that name, for links and switches; the five steps are reached through a project."""
    return st.Page(
        FOLDER / f"{name}.py",
        title=PAGE_TITLES[name],
        url_path="" if name == "home" else name,
        default=name == "home",
        visibility="hidden" if name in _HIDDEN else "visible",
    )


def build_navigation() -> Page:
    names: tuple[PageName, ...] = ("home", *STEPS, "brand", "settings")
    return st.navigation([page(name) for name in names], position="top")
