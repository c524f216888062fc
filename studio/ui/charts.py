"""The chart of a run. Colours and fonts come from the theme: no trace names a colour, so light and dark
follow by themselves. Traces are added in the order of the theme's `chartCategoricalColors`: accent for
validation, grey for train, pale grey for the single train losses."""

import plotly.graph_objects as go
import streamlit as st

from studio.progress import Curve, CurvePoint

HEIGHT = 340
CONFIG = {"displayModeBar": False, "scrollZoom": False}


def draw_curve(curve: Curve, steps: int, best_label: str) -> go.Figure:
    """Train and validation loss by step. `uirevision` keeps what the person zoomed to between updates."""
    figure = go.Figure()
    _add_line(figure, "Examples held out", curve.validation, mode="lines+markers", width=3)
    _add_line(figure, "Examples it learns from", curve.train_smooth, mode="lines", width=2)
    _add_line(figure, "each step", curve.train, mode="lines", width=1, in_legend=False)
    if curve.best:
        _mark_best(figure, curve.best, best_label)
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        uirevision="curve",
        hovermode="x unified",
        dragmode=False,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        xaxis={"title": None, "range": [0, max(steps, 1)], "fixedrange": True, "ticksuffix": "", "nticks": 7},
        yaxis={"title": None, "fixedrange": True, "nticks": 6, "rangemode": "normal", "automargin": True},
    )
    return figure


def _add_line(
    figure: go.Figure,
    name: str,
    points: tuple[CurvePoint, ...],
    mode: str,
    width: int,
    in_legend: bool = True,
) -> None:
    figure.add_trace(
        go.Scatter(
            x=[point.step for point in points],
            y=[point.value for point in points],
            name=name,
            mode=mode,
            line={"width": width},
            marker={"size": 6},
            showlegend=in_legend,
            hovertemplate="%{y:.2f}" if in_legend else None,
            hoverinfo=None if in_legend else "skip",
        )
    )


def _mark_best(figure: go.Figure, best: CurvePoint, label: str) -> None:
    figure.add_annotation(
        x=best.step, y=best.value, text=label, showarrow=True, arrowhead=0, arrowwidth=1, ax=0, ay=-28
    )


def show_curve(curve: Curve, steps: int, sentence: str, key: str, best_label: str = "best") -> None:
    """The same key in each update: the browser redraws the lines in place, without a flicker."""
    st.plotly_chart(draw_curve(curve, steps, best_label), key=key, config=CONFIG, alt=sentence)
