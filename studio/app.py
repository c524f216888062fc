"""Entrypoint of every page run: look, logo, navigation, and the guard that makes a failure a sentence."""

from pathlib import Path

import streamlit as st

from studio.navigation import build_navigation
from studio.ui.notices import guard
from studio.ui.theme import apply_style

ASSETS = Path(__file__).resolve().parent.parent / "assets"

st.set_page_config(page_title="Voicewright", page_icon=str(ASSETS / "logo_mark.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large")
apply_style()
selected = build_navigation()
with guard():
    selected.run()
