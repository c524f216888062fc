"""Every page of the journey x {empty, full, engine away}: never an exception, always a next step."""

import pytest

STEPS = ("examples", "method", "tuning", "compare", "download")
PAGES = ("home", *STEPS, "settings")


def labels(app):
    return [item.label for item in app.button]


def words(app):
    return " ".join(
        item.value for kind in (app.title, app.markdown, app.caption, app.subheader) for item in kind
    )


@pytest.mark.parametrize("name", STEPS)
def test_a_step_without_a_voice_leads_back_to_the_voices(name, pretend_engine, open_page):
    app = open_page(name)
    assert not app.exception
    assert labels(app) == ["Go to your voices"]


@pytest.mark.parametrize("name", STEPS)
def test_an_address_of_a_deleted_voice_is_no_dead_end(name, pretend_engine, open_page):
    app = open_page(name, project="0" * 32)
    assert labels(app) == ["Go to your voices"]


@pytest.mark.parametrize("name", STEPS[1:])
def test_a_step_that_cannot_be_entered_says_what_is_missing(name, pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = open_page(name, project=project.id)
    assert not app.exception
    assert "Opens when" in words(app)
    assert labels(app) == ["Go to Examples"]


@pytest.mark.parametrize("name", PAGES)
def test_a_full_project_shows_every_page(name, pretend_engine, open_page):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    app = open_page(name, project=project.id, run=run.id)
    assert not app.exception
    assert len(app.title) == 1


@pytest.mark.parametrize("name", PAGES)
def test_an_engine_that_is_away_costs_nothing_but_patience(name, pretend_engine, open_page):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    pretend_engine.is_down = True
    app = open_page(name, project=project.id, run=run.id)
    assert not app.exception
    assert "Try again" in labels(app)
    pretend_engine.is_down = False
    app.run()
    assert "Try again" not in labels(app)
    assert app.query_params["project"] == project.id


def test_a_page_that_breaks_shows_no_stack_trace(pretend_engine, open_page, monkeypatch):
    project = pretend_engine.add_project()
    monkeypatch.setattr(pretend_engine, "_metrics", lambda *_, **__: {}["nothing"])
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    app = open_page("tuning", project=project.id, run=run.id)
    assert not app.exception
    assert "Something went wrong" in app.warning[0].value
