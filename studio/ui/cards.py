"""Cards, where things are compared: one per method, with what it takes and what it is good at."""

import streamlit as st

from engine.contract.records import Estimate
from studio.glossary import explain
from studio.recipes import METHOD_TEXTS
from studio.ui.text import escape
from studio.wording import render_bytes, render_duration_range, render_money_range

LABEL_PIXELS = 92


def show_method_card(estimate: Estimate, is_recommended: bool, is_chosen: bool) -> bool:
    """One method with its figures; True if it was chosen by this click."""
    words = METHOD_TEXTS[estimate.method]
    state = "chosen" if is_chosen else "other"
    with st.container(key=f"card-{state}-{estimate.method}", border=True, height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(words.title, anchor=False, width="content")
            if is_recommended:
                st.badge("Recommended", color="green")
        st.markdown(words.sentence)
        _show_figures(estimate)
        st.markdown(f"**Good at** {words.good_at}")
        st.markdown(f"**Less good at** {words.less_good_at}")
        st.space("stretch")
        label = "Chosen" if is_chosen else f"Choose {words.title}"
        icon = ":material/check:" if is_chosen else None
        return st.button(label, key=f"choose-{estimate.method}", icon=icon, width="stretch")


def _show_figures(estimate: Estimate) -> None:
    whole = estimate.download_with_base_bytes
    beside = (
        f" With its base model inside it is {render_bytes(whole)}." if whole > estimate.download_bytes else ""
    )
    with st.container(key=f"figures-{estimate.method}", gap="xxsmall"):
        _show_figure(
            "Time",
            render_duration_range(estimate.seconds_range),
            f"Most likely {estimate.seconds:,.0f} seconds. {escape(estimate.basis)}",
        )
        _show_figure("Memory", render_memory(estimate), explain("peak memory"))
        _show_figure("Electricity", render_electricity(estimate), explain_electricity(estimate))
        _show_figure("Or rented", render_rented(estimate), explain("rented gpu"))
        _show_figure(
            "Download",
            render_bytes(estimate.download_bytes),
            f"{METHOD_TEXTS[estimate.method].download}{beside}",
        )


def _show_figure(name: str, value: str, help_text: str) -> None:
    with st.container(horizontal=True, gap=None, wrap=False):
        st.markdown(f":gray[{name}]", width=LABEL_PIXELS)
        st.markdown(value, help=help_text)


def render_memory(estimate: Estimate) -> str:
    needed = render_bytes(estimate.peak_memory_bytes)
    free = render_bytes(estimate.memory_available_bytes)
    if estimate.fits:
        return f"{needed} of the {free} free"
    return f":orange[{needed}, but only {free} are free]"


def render_electricity(estimate: Estimate) -> str:
    return escape(render_money_range(estimate.electricity_cost_range, estimate.currency))


def render_rented(estimate: Estimate) -> str:
    return escape(render_money_range(estimate.rented_gpu_cost_range, estimate.currency))


def explain_electricity(estimate: Estimate) -> str:
    low, high = estimate.energy_kwh_range
    return f"Between {low:.4f} and {high:.4f} kilowatt-hours, at the price in Settings."
