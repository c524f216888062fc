"""A curve of any length is drawn and read in plain words."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.records import Metric, RunState
from studio.progress import (
    MOST_POINTS,
    PHASE_SENTENCES,
    PHASES,
    build_curve,
    read_curve,
    render_gain,
    render_time_left,
)


def metric(step: int, train: float | None = None, validation: float | None = None) -> Metric:
    return Metric(
        attempt=1,
        step=step,
        epoch=step / 10,
        train_loss=train,
        validation_loss=validation,
        seconds=float(step),
    )


def run(validation: list[float], train: list[float] | None = None) -> list[Metric]:
    """Evaluations every ten steps, the first before any step; a falling train loss unless one is given."""
    steps = 10 * (len(validation) - 1)
    train = train or [4.0 / (1 + step / 40) for step in range(1, steps + 1)]
    points = [metric(0, validation=validation[0])]
    for step, loss in enumerate(train, start=1):
        at = step // 10
        points.append(metric(step, loss, validation[at] if step % 10 == 0 and at < len(validation) else None))
    return points


@pytest.mark.parametrize(
    ("validation", "says"),
    [
        ([4.0], "Training has begun"),
        ([4.0, 3.5, 3.1, 2.8], "Still learning. The held-out examples surprise it 30\u00a0% less"),
        ([4.0, 3.2, 2.84, 2.83, 2.82, 2.82], "Levelling off"),
        ([4.0, 3.0, 2.8, 2.9, 3.1], "starts to copy your examples"),
        ([4.0, 3.0, 2.8, 3.0], "starts to copy your examples"),
        ([4.0, 3.0, 2.8, 2.81], "The held-out examples surprise it 30\u00a0% less"),
        ([4.0, 4.0, 3.99, 3.99], "has not learnt anything yet"),
    ],
)
def test_a_running_curve_is_read_as_an_expert_would(validation: list[float], says: str) -> None:
    assert says in read_curve(run(validation), "training")


def test_a_loss_that_climbs_is_a_warning_with_a_way_out() -> None:
    sentence = read_curve(run([4.0, 5.0], train=[4.0 + step / 3 for step in range(10)]), "training")
    assert "worse instead of better" in sentence
    assert "smaller learning rate" in sentence


@pytest.mark.parametrize(
    ("validation", "says"),
    [
        ([4.0, 3.0, 2.8, 2.9, 3.1], "best at step 20. After that it began to copy"),
        ([4.0, 3.0, 2.8], "surprise it 30\u00a0% less than the untouched model. It was best at step 20."),
        ([4.0, 4.0, 4.1], "not learnt anything"),
        ([], "too few were held out"),
    ],
)
def test_a_finished_run_is_summed_up(validation: list[float], says: str) -> None:
    points = run(validation) if validation else [metric(1, 4.0), metric(2, 3.9)]
    assert says in read_curve(points, "succeeded")


@pytest.mark.parametrize("state", get_args(RunState))
def test_every_state_has_words_with_and_without_points(state: RunState) -> None:
    assert PHASES[state]
    assert PHASE_SENTENCES[state]
    for points in ([], [metric(1, 4.0)], run([4.0, 3.0, 2.5])):
        assert read_curve(points, state).endswith(".")


def test_six_steps_draw_a_curve() -> None:
    points = [
        metric(0, validation=4.0),
        *[metric(step, 4.0 - step / 10) for step in range(1, 6)],
        metric(6, 3.3, 3.4),
    ]
    curve = build_curve(points)
    assert len(curve.train) == len(curve.train_smooth) == 6
    assert [point.value for point in curve.validation] == [4.0, 3.4]
    assert curve.base is not None
    assert curve.best is not None
    assert (curve.base.step, curve.best.step) == (0, 6)


def test_nothing_yet_is_an_empty_curve() -> None:
    curve = build_curve([])
    assert (curve.train, curve.validation, curve.base, curve.best) == ((), (), None, None)


@settings(max_examples=40, deadline=None)
@given(losses=st.lists(st.floats(0.01, 20), min_size=1, max_size=3000))
def test_a_thinned_line_keeps_its_ends_and_extremes(losses: list[float]) -> None:
    curve = build_curve([metric(step, loss) for step, loss in enumerate(losses)])
    values = [point.value for point in curve.train]
    assert len(values) <= MOST_POINTS
    assert (values[0], values[-1], min(values), max(values)) == (
        losses[0],
        losses[-1],
        min(losses),
        max(losses),
    )
    steps = [point.step for point in curve.train]
    assert steps == sorted(set(steps))
    assert all(min(losses) - 1e-9 <= point.value <= max(losses) + 1e-9 for point in curve.train_smooth)


def test_a_spike_in_ten_thousand_steps_is_still_drawn() -> None:
    points = [metric(step, 30.0 if step == 7777 else 3.0) for step in range(10_000)]
    assert 7777 in [point.step for point in build_curve(points).train]


def test_gain_and_time_left_are_said_in_words() -> None:
    assert render_gain(4.0, 2.76) == "31\u00a0% less surprised than the base model"
    assert render_gain(4.0, 4.4) == "10\u00a0% more surprised than the base model"
    assert render_gain(4.0, 3.99) == "as surprised as the base model"
    assert render_gain(None, 3.0) == ""
    assert render_time_left(200) == "about 3 minutes left"
    assert render_time_left(None) == "time left not known yet"
