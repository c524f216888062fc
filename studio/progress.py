"""From the points of a run to the lines of its chart and one sentence that reads them.

Losses are nats per learnt token, said to people as surprise. Does not know the chart, nor what computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.contract.records import Metric, RunState
from studio.wording import render_duration, render_percent

MOST_POINTS = 500
"""A line has at most so many: more than a screen has pixels for, and what a browser draws without delay."""
# Differences below one percent of the base's loss are within what another seed would change.
_NOTICEABLE = 0.01
# Half of the evaluations so far brought less than this share of the gain: the rest will bring little.
_LEVELLING = 0.15
_DIVERGING = 1.3

PHASES: dict[RunState, str] = {
    "queued": "Waiting for its turn",
    "preparing": "Preparing",
    "training": "Training",
    "finishing": "Finishing",
    "succeeded": "Done",
    "paused": "Paused",
    "cancelled": "Cancelled",
    "failed": "Stopped by a problem",
    "interrupted": "Interrupted",
}
PHASE_SENTENCES: dict[RunState, str] = {
    "queued": "Another tuning is running; this one starts by itself as soon as it ends.",
    "preparing": "Loading the base model and reading your examples.",
    "training": "The model practises on your examples.",
    "finishing": "Saving the best moment of the tuning as your download.",
    "succeeded": "The tuning is complete, and its best moment is kept.",
    "paused": "Everything learnt so far is saved. Go on whenever you like.",
    "cancelled": "It was cancelled and nothing of it is kept but this curve.",
    "failed": "It could not go on. Your examples are safe.",
    "interrupted": "It was interrupted, and goes on by itself from where it was saved.",
}


@dataclass(frozen=True)
class CurvePoint:
    step: int
    epoch: float
    value: float


@dataclass(frozen=True)
class Curve:
    """The lines of one chart. `base` is the untouched model on the held-out examples, `best` the lowest."""

    train: tuple[CurvePoint, ...]
    train_smooth: tuple[CurvePoint, ...]
    validation: tuple[CurvePoint, ...]
    base: CurvePoint | None
    best: CurvePoint | None


def build_curve(points: Sequence[Metric]) -> Curve:
    """Lines of at most MOST_POINTS each, however long the run and however short."""
    train = _train_line(points)
    validation = _validation_line(points)
    return Curve(
        train=_thin_out(train),
        train_smooth=_thin_out(_smooth(train)),
        validation=_thin_out(validation),
        base=validation[0] if validation and validation[0].step == 0 else None,
        best=min(validation, key=lambda point: point.value, default=None),
    )


def read_curve(points: Sequence[Metric], state: RunState) -> str:
    """What the curve says, in one or two sentences for someone who has never seen one."""
    validation, train = _validation_line(points), _train_line(points)
    if state in ("cancelled", "failed", "paused", "interrupted", "queued") or not points:
        return _read_standing(validation, state)
    if state == "succeeded":
        return _read_result(validation)
    if state == "finishing":
        return f"{PHASE_SENTENCES['finishing']} {_gain_sentence(validation)}".strip()
    return _read_running(validation, train)


def render_gain(loss_base: float | None, loss_best: float | None) -> str:
    """What was gained on the held-out examples: "31 % less surprised than the base model"."""
    if not loss_base or loss_best is None:
        return ""
    gain = 1 - loss_best / loss_base
    if abs(gain) < _NOTICEABLE:
        return "as surprised as the base model"
    return f"{render_percent(abs(gain))} {'less' if gain > 0 else 'more'} surprised than the base model"


def render_time_left(seconds: float | None) -> str:
    return "time left not known yet" if seconds is None else f"{render_duration(seconds)} left"


def _train_line(points: Sequence[Metric]) -> list[CurvePoint]:
    ordered = sorted(points, key=lambda point: point.step)
    return [
        CurvePoint(point.step, point.epoch, point.train_loss)
        for point in ordered
        if point.train_loss is not None
    ]


def _validation_line(points: Sequence[Metric]) -> list[CurvePoint]:
    ordered = sorted(points, key=lambda point: point.step)
    return [
        CurvePoint(point.step, point.epoch, point.validation_loss)
        for point in ordered
        if point.validation_loss is not None
    ]


def _smooth(line: list[CurvePoint]) -> list[CurvePoint]:
    """An exponential mean over a third of a short line, over 20 points of a long one; unbiased at first."""
    keep = min(0.95, max(0.0, 1 - 3 / len(line))) if line else 0.0
    smooth, total, weight = [], 0.0, 0.0
    for point in line:
        total = keep * total + point.value
        weight = keep * weight + 1
        smooth.append(CurvePoint(point.step, point.epoch, total / weight))
    return smooth


def _thin_out(line: list[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Keep the ends and the extremes of each stretch between: no spike and no best is lost."""
    if len(line) <= MOST_POINTS:
        return tuple(line)
    stretches = (MOST_POINTS - 2) // 2
    inner = line[1:-1]
    edges = [index * len(inner) // stretches for index in range(stretches + 1)]
    kept = {0: line[0], len(line) - 1: line[-1]}
    for start, end in pairwise(edges):
        for pick in (min, max):
            index = pick(range(start, end), key=lambda at: inner[at].value)
            kept[index + 1] = inner[index]
    return tuple(kept[index] for index in sorted(kept))


def _read_standing(validation: list[CurvePoint], state: RunState) -> str:
    if state in ("preparing", "training"):
        return f"{PHASE_SENTENCES[state]} The first points appear in a moment."
    return f"{PHASE_SENTENCES[state]} {_gain_sentence(validation)}".strip()


def _read_result(validation: list[CurvePoint]) -> str:
    if len(validation) < 2:
        return "It has read your examples, but too few were held out to say how much it learnt."
    base, best = validation[0], min(validation, key=lambda point: point.value)
    if 1 - best.value / base.value < _NOTICEABLE:
        return (
            "It has not learnt anything that shows on the held-out examples. "
            "Try another method, more passes, or more examples."
        )
    end = " After that it began to copy, so that moment is kept." if _copies(validation) else ""
    return f"It has learnt. {_gain_sentence(validation)} It was best at step {best.step}.{end}"


def _read_running(validation: list[CurvePoint], train: list[CurvePoint]) -> str:
    if _diverges(train):
        return (
            "It is getting worse instead of better: each correction may be too large. "
            "If this does not turn soon, stop and start again with a smaller learning rate."
        )
    if len(validation) < 2:
        return "Training has begun. How well it does on the held-out examples shows in a moment."
    if _copies(validation):
        return (
            "It starts to copy your examples: they surprise it less and less, the held-out ones more again. "
            f"The best moment so far, step {min(validation, key=lambda point: point.value).step}, is kept."
        )
    gain = _gain(validation)
    if gain < _NOTICEABLE:
        return "It has not learnt anything yet that shows on the held-out examples; that can take a while."
    how = "Levelling off: there is little more to gain." if _levels_off(validation) else "Still learning."
    return f"{how} {_gain_sentence(validation)}"


def _gain(validation: list[CurvePoint]) -> float:
    return 1 - min(point.value for point in validation) / validation[0].value


def _gain_sentence(validation: list[CurvePoint]) -> str:
    if len(validation) < 2 or _gain(validation) < _NOTICEABLE:
        return ""
    gain = render_percent(_gain(validation))
    return f"The held-out examples surprise it {gain} less than the untouched model."


def _copies(validation: list[CurvePoint]) -> bool:
    """The held-out examples have been getting worse since the best moment, by more than chance."""
    best = min(range(len(validation)), key=lambda index: validation[index].value)
    after = validation[best + 1 :]
    rise = validation[-1].value / validation[best].value - 1
    # One point may be chance unless it is far off; two in a row are not.
    return best > 0 and rise > (_NOTICEABLE if len(after) >= 2 else 3 * _NOTICEABLE)


def _levels_off(validation: list[CurvePoint]) -> bool:
    """The second half of the evaluations brought little of what was gained."""
    if len(validation) < 4:
        return False
    middle = min(point.value for point in validation[: (len(validation) + 1) // 2])
    best = min(point.value for point in validation)
    return middle - best < _LEVELLING * (validation[0].value - best)


def _diverges(train: list[CurvePoint]) -> bool:
    smooth = _smooth(train)
    return len(smooth) >= 4 and smooth[-1].value > _DIVERGING * smooth[0].value
