"""The pictures of a voice: sentence lengths, favourite words, marks and persons. Colours come from the theme.

Each chart carries the sentence that a screen reader says in its place. Does not count anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from studio.ui.charts import CONFIG
from studio.voice_profile import Bar, VoiceProfile
from studio.wording import render_count, render_list, render_percent

_COLUMNS_HEIGHT = 220
_BAR_HEIGHT = 30
_MARGIN_HEIGHT = 40
# Below this share a mark or person is no habit, and its bar would not be seen.
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class VoiceChart:
    figure: go.Figure
    alt: str


def draw_sentence_lengths(profile: VoiceProfile) -> VoiceChart:
    """How many sentences have how many words."""
    alt = (
        f"How long sentences are: half have {round(profile.words_per_sentence)} words or fewer, "
        f"most often {_peak(profile.sentence_lengths)}."
    )
    return VoiceChart(_draw_columns(profile.sentence_lengths, "sentence"), alt)


def draw_text_lengths(profile: VoiceProfile) -> VoiceChart:
    """How many texts have how many words."""
    alt = f"How long texts are: most often {_peak(profile.text_lengths)} words."
    return VoiceChart(_draw_columns(profile.text_lengths, "text"), alt)


def draw_favourites(profile: VoiceProfile) -> VoiceChart:
    """The favourite words by the number of texts that have them."""
    words = profile.favourites
    figure = _draw_bars(
        [favourite.word for favourite in words],
        [favourite.texts for favourite in words],
        [f"in {render_count(favourite.texts, 'text')}" for favourite in words],
    )
    first = render_list([f"{favourite.word} in {favourite.texts}" for favourite in words[:3]])
    alt = f"Favourite words and how many texts have them: {first}." if words else "No favourite words yet."
    return VoiceChart(figure, alt)


def draw_habits(profile: VoiceProfile) -> VoiceChart:
    """In which share of the texts “you”, “we” and “I” stand, and which marks."""
    persons = [(f"“{address.person}”", address.share_of_texts) for address in profile.address]
    marks = [(habit.name, habit.share_of_texts) for habit in profile.punctuation]
    habits = [(name, share) for name, share in (*persons, *marks) if share >= _LEAST_SHARE]
    figure = _draw_bars(
        [name for name, _ in habits],
        [100 * share for _, share in habits],
        [render_percent(share) for _, share in habits],
    )
    figure.update_xaxes(range=[0, 110])
    told = render_list([f"{name} in {render_percent(share)}" for name, share in habits])
    alt = f"Share of the texts with each habit: {told}." if habits else "No habit stands out."
    return VoiceChart(figure, alt)


def show_voice_chart(chart: VoiceChart, key: str) -> None:
    st.plotly_chart(chart.figure, key=key, config=CONFIG, alt=chart.alt)


def _draw_columns(bars: Sequence[Bar], noun: str) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=[bar.label for bar in bars],
            y=[bar.count for bar in bars],
            customdata=[render_count(bar.count, noun) for bar in bars],
            hovertemplate="%{x} words: %{customdata}<extra></extra>",
        )
    )
    _lay_out(figure, _COLUMNS_HEIGHT)
    # Labels such as "5–9" are names here; plotly would take "10-14" for a date.
    figure.update_xaxes(type="category", title="words")
    figure.update_yaxes(visible=False)
    return figure


def _draw_bars(names: Sequence[str], values: Sequence[float], labels: Sequence[str]) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=list(names),
            orientation="h",
            text=list(labels),
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    _lay_out(figure, _MARGIN_HEIGHT + _BAR_HEIGHT * max(len(names), 1))
    figure.update_xaxes(visible=False, range=[0, 1.35 * max(values, default=1)])
    figure.update_yaxes(type="category", autorange="reversed", automargin=True)
    return figure


def _lay_out(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        bargap=0.25,
        dragmode=False,
        showlegend=False,
    )
    figure.update_xaxes(fixedrange=True, showgrid=False)
    figure.update_yaxes(fixedrange=True, showgrid=False)


def _peak(bars: Sequence[Bar]) -> str:
    return max(bars, key=lambda bar: bar.count).label if bars else "0"
