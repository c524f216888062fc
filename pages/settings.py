"""Settings: what electricity and a rented machine cost, this machine, the base models, where things lie."""

import streamlit as st

from engine.contract.prices import Prices, load_prices
from engine.contract.records import Machine, Settings
from studio.ui.adding import show_adding
from studio.ui.catalog import show_models
from studio.ui.notices import attempt
from studio.ui.session import engine, workspace
from studio.ui.text import escape, show_text
from studio.wording import render_bytes, render_list

CURRENCIES = ["€", "$", "£", "CHF", "¥"]


def show_prices(settings: Settings) -> None:
    st.subheader("What it costs where you are", anchor=False)
    st.caption("Used to say beforehand what a tuning run costs. Nothing is charged by Voicewright.")
    currencies = CURRENCIES if settings.currency in CURRENCIES else [settings.currency, *CURRENCIES]
    with st.form("prices", border=False):
        grid = st.grid(2, min_column_width=260)
        currency = grid.selectbox("Currency", currencies, index=currencies.index(settings.currency))
        electricity = grid.number_input(
            "Electricity, per kilowatt-hour",
            0.0,
            100.0,
            settings.electricity_price_per_kwh,
            0.01,
            help="It is on your electricity bill.",
        )
        watts = grid.number_input(
            "This machine at work, in watts",
            1.0,
            5000.0,
            settings.machine_watts,
            5.0,
            help="A laptop draws about 30 to 65 watts at work, a desktop 100 to 300 or more.",
        )
        rented = grid.number_input(
            "A rented graphics card, per hour",
            0.0,
            1000.0,
            settings.rented_gpu_price_per_hour,
            0.1,
            help="Only for comparison: what the same run would cost on a machine from a cloud provider.",
        )
        show_price_lists(load_prices())
        wanted = st.form_submit_button("Save", type="primary")
    if wanted:
        save(
            Settings(
                currency=currency,
                electricity_price_per_kwh=electricity,
                machine_watts=watts,
                rented_gpu_price_per_hour=rented,
            )
        )


def show_price_lists(prices: Prices) -> None:
    cards = [
        f"{card.card} for {card.currency}{card.price_per_hour:.2f} ({card.source})"
        for card in prices.rented_cards
    ]
    st.caption(escape(f"Price lists of {prices.as_of}: {render_list(cards)}. {prices.electricity.source}."))


def save(settings: Settings) -> None:
    if attempt(lambda: engine().save_settings(settings)):
        st.toast("Saved. Estimates use the new prices from now on.")


def show_machine(machine: Machine) -> None:
    st.subheader("This machine", anchor=False)
    st.markdown(f"Tuning runs on **{escape(machine.device_title)}**: {escape(machine.device_reason)}.")
    grid = st.grid(4, min_column_width=150)
    grid.metric("Processor cores", machine.cores)
    grid.metric("Memory", render_bytes(machine.memory_bytes))
    grid.metric("Memory free now", render_bytes(machine.memory_available_bytes))
    grid.metric("Disk space free", render_bytes(machine.disk_free_bytes))
    if machine.calibrated:
        st.caption("Its speed has been measured, so estimates are close.")
    else:
        st.caption(
            "Its speed has not been measured yet. That happens by itself; until then estimates are wide."
        )


def show_privacy() -> None:
    st.subheader("What stays where", anchor=False)
    st.markdown(
        "Examples, prompts, models and answers stay on this machine. Voicewright sends nothing anywhere, "
        "counts nobody, and has no account. This page can be opened from this machine only."
    )
    st.caption("Everything is kept in this folder:")
    show_text(str(workspace()), key="workspace")


st.title("Settings", anchor=False)
show_prices(engine().settings())
st.space("medium")
show_machine(engine().machine())
st.space("medium")
show_models(engine().models())
show_adding()
st.space("medium")
show_privacy()
