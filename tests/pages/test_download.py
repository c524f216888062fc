"""Download: offered only when it has been checked, and honest about what was checked."""

import pytest

from engine.contract.failures import Failure
from engine.contract.records import Export, Recipe
from tests.pages.conftest import READY_EXPORT


def open_download(pretend_engine, open_page, **changes):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id), "succeeded", **changes)
    return run, open_page("download", project=project.id, run=run.id)


def words(app):
    kinds = (app.title, app.markdown, app.caption, app.warning)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "")


def links(app):
    return [item.url for item in app.get("link_button")]


def test_the_first_visit_has_it_made_and_checked(pretend_engine, open_page):
    run, app = open_download(pretend_engine, open_page)
    assert not app.exception
    assert pretend_engine.runs[run.id].export.state == "ready"
    assert "transformers 5.23.0" in words(app)
    assert links(app) == [f"/download/{run.id}"]


@pytest.mark.parametrize("state", ["building", "checking"])
def test_nothing_is_offered_before_the_check_has_passed(state, pretend_engine, open_page):
    _, app = open_download(pretend_engine, open_page, export=Export(state=state))
    assert not app.exception
    assert not links(app)


def test_a_download_that_failed_its_check_is_not_offered(pretend_engine, open_page):
    failure = Failure(code="download_not_reproduced", what_happened="The fresh program answered differently.")
    _, app = open_download(pretend_engine, open_page, export=Export(state="failed", failure=failure))
    assert "answered differently" in words(app)
    assert not links(app)
    assert "Make it again" in [item.label for item in app.button]


def test_the_adapter_alone_is_made_and_the_engineer_is_told_where_the_base_is(pretend_engine, open_page):
    _, app = open_download(pretend_engine, open_page)
    assert 'from_pretrained("FOLDER_OF_THE_BASE_MODEL"), "adapter"' in app.code[0].value
    assert app.code[1].value == "voicewright models export FOLDER_OF_THE_BASE_MODEL"
    assert "untouched base model" not in words(app)


def test_both_sizes_are_said_before_and_the_other_is_made_on_request(pretend_engine, open_page):
    run, app = open_download(pretend_engine, open_page)
    (choice,) = app.radio
    assert choice.options == ["Adapter only", "With its base model"]
    assert [caption.split(".")[0] for caption in choice.proto.captions] == ["700 KB", "272 MB"]
    choice.set_value(True)
    app.run()
    assert not links(app), "what was made is not what was chosen"
    next(item for item in app.button if item.label == "Make it with its base model").click()
    app.run()
    assert pretend_engine.runs[run.id].export.includes_base
    assert links(app) == [f"/download/{run.id}"]
    assert 'from_pretrained("base"), "adapter"' in app.code[0].value
    assert "**base**: the untouched base model" in words(app)


def test_a_whole_model_needs_no_choice(pretend_engine, open_page):
    recipe = Recipe(method="all-layers", epochs=3, learning_rate=1e-3, batch_size=8)
    _, app = open_download(pretend_engine, open_page, recipe=recipe)
    assert not app.radio
    assert 'from_pretrained("model")' in app.code[0].value
    assert len(app.code) == 1


def test_an_estimate_of_an_earlier_version_gives_both_sizes_too(pretend_engine, open_page):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    old = run.estimate.model_copy(update={"download_bytes": 24_700_000, "download_with_base_bytes": 0})
    export = READY_EXPORT.model_copy(update={"includes_base": True, "bytes": 24_800_000})
    pretend_engine.runs[run.id] = run.model_copy(update={"estimate": old, "export": export})
    app = open_page("download", project=project.id, run=run.id)
    assert [caption.split(".")[0] for caption in app.radio[0].proto.captions] == ["700 KB", "25 MB"]
    assert app.radio[0].value is True
    assert links(app) == [f"/download/{run.id}"]
