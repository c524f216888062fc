"""Tuning: what a run shows in each state, after a refresh, and what its buttons ask of the engine."""

import pytest

from engine.contract.failures import Failure


def labels(app):
    return [item.label for item in app.button]


def words(app):
    return " ".join(item.value for kind in (app.title, app.markdown, app.caption, app.info) for item in kind)


def open_run(pretend_engine, open_page, state, **changes):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id), state, **changes)
    return run, open_page("tuning", project=project.id, run=run.id)


def test_a_run_under_way_shows_phase_curve_and_its_two_buttons(pretend_engine, open_page):
    _, app = open_run(pretend_engine, open_page, "training")
    assert not app.exception
    assert "**Training**" in words(app)
    assert labels(app) == ["Stop and keep the best", "Cancel"]
    assert app.get("plotly_chart")


def test_a_refresh_shows_the_whole_curve_again(pretend_engine, open_page):
    run, first = open_run(pretend_engine, open_page, "training")
    second = open_page("tuning", project=run.project_id, run=run.id)
    assert words(first) == words(second)


def test_stop_keeps_the_best_and_is_said(pretend_engine, open_page):
    run, app = open_run(pretend_engine, open_page, "training")
    app.button[0].click()
    app.run()
    assert pretend_engine.runs[run.id].desired == "stop"
    assert "stopping" in words(app)


def test_cancel_asks_first(pretend_engine, open_page):
    run, app = open_run(pretend_engine, open_page, "training")
    app.button[1].click()
    app.run()
    assert pretend_engine.runs[run.id].desired == "run"
    assert {"Cancel the run", "Let it go on"} <= set(labels(app))


@pytest.mark.parametrize(
    ("state", "says", "button"),
    [
        ("queued", "waits for its turn", "Cancel"),
        ("interrupted", "goes on by itself", "Cancel"),
        ("paused", "paused", "Go on"),
        ("cancelled", "cancelled", "Choose a method"),
    ],
)
def test_a_run_that_stands_still_says_why_and_what_helps(state, says, button, pretend_engine, open_page):
    _, app = open_run(pretend_engine, open_page, state, step=12)
    assert not app.exception
    assert says in words(app)
    assert button in labels(app)


def test_a_failed_run_says_what_happened_and_what_to_do(pretend_engine, open_page):
    failure = Failure(
        code="out_of_memory",
        what_happened="The machine ran out of memory.",
        what_you_have="Your examples are safe.",
        what_to_do="Choose a smaller batch.",
    )
    _, app = open_run(pretend_engine, open_page, "failed", failure=failure)
    assert "ran out of memory" in app.warning[0].value
    assert "Choose another method" in labels(app)


def test_a_finished_run_holds_the_actual_against_the_estimate(pretend_engine, open_page):
    _, app = open_run(pretend_engine, open_page, "succeeded")
    assert {metric.label for metric in app.metric} == {"Surprise before", "Surprise after", "Time", "Memory"}
    assert words(app).count("said before") == 2
    assert labels(app) == ["Compare"]


def test_an_earlier_run_can_be_looked_at(pretend_engine, open_page):
    project = pretend_engine.add_project()
    dataset = pretend_engine.add_dataset(project.id)
    first, second = pretend_engine.add_run(dataset), pretend_engine.add_run(dataset, "training")
    app = open_page("tuning", project=project.id)
    assert app.title[0].value == "Run 2, LoRA"
    app.selectbox[0].set_value(first.id)
    app.run()
    assert app.title[0].value == "Run 1, LoRA"
    assert app.query_params["run"] == first.id != second.id
