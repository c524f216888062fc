"""Voices of a base model that is not here any more: every page opens, and says what is missing."""

import pytest

from engine.contract.failures import EngineFailure
from engine.contract.records import AnswerRequest, Recipe
from tests.pages.conftest import BUNDLED, READY_EXPORT

MISSING = EngineFailure(
    "not_found",
    "This voice was tuned on Voicewright’s earlier small model, which is no longer included.",
    "Its download, if it was made, is still here.",
)


@pytest.fixture
def earlier(pretend_engine):
    """A project whose only run names a base model that the engine does not list."""
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    recipe = Recipe.model_validate({**run.recipe.model_dump(), "base_model": "starter"})
    export = READY_EXPORT.model_copy(update={"includes_base": True})
    pretend_engine.runs[run.id] = run.model_copy(update={"recipe": recipe, "export": export})
    return pretend_engine.runs[run.id]


def words(app):
    kinds = (app.title, app.markdown, app.caption, app.warning)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "")


@pytest.mark.parametrize("name", ["examples", "method", "tuning", "compare", "download", "brand"])
def test_every_page_opens(earlier, open_page, name):
    app = open_page(name, project=earlier.project_id, run=earlier.id)
    assert not app.exception
    assert "Something went wrong" not in words(app)


def test_the_next_run_learns_on_the_model_that_comes_with_us(earlier, pretend_engine, open_page):
    app = open_page("method", project=earlier.project_id)
    next(item for item in app.button if item.label == "Start tuning").click()
    app.run()
    newest = list(pretend_engine.runs.values())[-1]
    assert newest.recipe.base_model == BUNDLED.name


def test_a_finished_download_is_still_offered(earlier, open_page):
    app = open_page("download", project=earlier.project_id, run=earlier.id)
    assert [item.url for item in app.get("link_button")] == [f"/download/{earlier.id}"]


def test_the_other_download_is_refused_with_the_reason(earlier, pretend_engine, open_page):
    app = open_page("download", project=earlier.project_id, run=earlier.id)
    app.radio[0].set_value(False)
    app.run()
    pretend_engine._export = refuse
    next(item for item in app.button if item.label == "Make it without its base model").click()
    app.run()
    assert "earlier small model" in words(app)


def test_an_answer_says_what_is_missing(earlier, pretend_engine, open_page):
    app = open_page("compare", project=earlier.project_id, run=earlier.id)
    pretend_engine._stream = lambda body: refuse(AnswerRequest.model_validate(body))
    next(item for item in app.button if item.label == "Write both").click()
    app.run()
    assert not app.exception
    assert "earlier small model" in words(app)
    assert "is still here" in words(app)


def refuse(*_, **__):
    raise MISSING
