"""Runs to Markdown: medians with their range, ratios, peak memory, start-up.

Pure arithmetic and text. Does not know how runs are made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.measuring import Run
from tests.benchmarks.sides import DEFAULTS, OURS, SIDES

LOSS_TOLERANCE = 0.15

Cell = tuple[str, str, int]
"""Model, method, epochs."""


@dataclass(frozen=True)
class Summary:
    """All runs of one side in one cell."""

    side: str
    rounds: int
    tokens_per_second: float
    slowest: float
    fastest: float
    startup_seconds: float
    whole_seconds: float
    peak_bytes: int
    loss: float | None


def summarize(runs: Iterable[Run]) -> dict[Cell, list[Summary]]:
    """Cells and sides in the order in which they came first."""
    grouped: dict[Cell, dict[str, list[Run]]] = {}
    for run in runs:
        grouped.setdefault((run.model, run.method, run.epochs), {}).setdefault(run.side, []).append(run)
    return {cell: [summarize_side(side) for side in sides.values()] for cell, sides in grouped.items()}


def summarize_side(runs: Sequence[Run]) -> Summary:
    rates = [run.tokens_per_second for run in runs]
    return Summary(
        side=runs[0].side,
        rounds=len(runs),
        tokens_per_second=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        startup_seconds=median(run.startup_seconds for run in runs),
        whole_seconds=median(run.whole_seconds for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        loss=next((run.loss for run in runs if run.loss is not None), None),
    )


def find_strayed(cells: dict[Cell, list[Summary]]) -> list[str]:
    """A sentence for each side whose final loss is far from those of most of the others."""
    found = []
    for cell, sides in cells.items():
        losses = {one.side: one.loss for one in sides if one.loss is not None}
        for side, loss in losses.items():
            others = [other for name, other in losses.items() if name != side]
            if sum(abs(loss / other - 1) > LOSS_TOLERANCE for other in others) > len(others) / 2:
                told = ", ".join(f"{other:.2f}" for other in others)
                found.append(f"{name_cell(cell)}: {side} ends at a loss of {loss:.2f}, the others at {told}")
    return found


def name_cell(cell: Cell) -> str:
    model, method, epochs = cell
    return f"{model}, {method}, {epochs} epoch{'s' if epochs > 1 else ''}"


# --- tables ------------------------------------------------------------------------------------------


def render_ratios(cells: dict[Cell, list[Summary]]) -> str:
    """One line a cell: ours, against the Trainer's defaults, against the best of all peers."""
    titles = (
        "model, method",
        "tok/s",
        "÷ Trainer + PEFT defaults",
        "÷ best peer",
        "best peer",
        "whole run ÷ defaults",
        "whole run ÷ best peer",
        "peak GB, defaults → ours",
    )
    lines = [render_ratio(cell, {one.side: one for one in sides}) for cell, sides in cells.items()]
    return render_table(titles, [line for line in lines if line])


def render_ratio(cell: Cell, sides: dict[str, Summary]) -> list[str] | None:
    peers = [one for name, one in sides.items() if name != OURS]
    if OURS not in sides or not peers:
        return None
    our, defaults = sides[OURS], sides.get(DEFAULTS)
    best = max(peers, key=lambda one: one.tokens_per_second)
    soonest = min(peers, key=lambda one: one.whole_seconds)
    return [
        name_cell(cell),
        f"{our.tokens_per_second:,.0f}",
        times(our.tokens_per_second / defaults.tokens_per_second) if defaults else "–",
        times(our.tokens_per_second / best.tokens_per_second),
        SIDES[best.side].title,
        times(defaults.whole_seconds / our.whole_seconds) if defaults else "–",
        times(soonest.whole_seconds / our.whole_seconds),
        f"{gigabytes(defaults.peak_bytes)} → {gigabytes(our.peak_bytes)}" if defaults else "–",
    ]


def render_sides(cells: dict[Cell, list[Summary]]) -> str:
    """One line for every side of every cell."""
    titles = (
        "model, method",
        "side",
        "rounds",
        "tok/s, median (least–most)",
        "start-up s",
        "whole run s",
        "peak GB",
        "final loss",
    )
    lines = [
        [
            name_cell(cell),
            SIDES[one.side].title,
            str(one.rounds),
            f"{one.tokens_per_second:,.0f} ({one.slowest:,.0f}–{one.fastest:,.0f})",
            f"{one.startup_seconds:.1f}",
            f"{one.whole_seconds:.1f}",
            gigabytes(one.peak_bytes),
            "–" if one.loss is None else f"{one.loss:.3f}",
        ]
        for cell, sides in cells.items()
        for one in sides
    ]
    return render_table(titles, lines)


def render_table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (titles, ["---"] * len(titles), *lines))


def times(ratio: float) -> str:
    return f"{ratio:.2f} ×"


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f}"
