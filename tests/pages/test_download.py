"""Download: offered only when it has been checked, and honest about what was checked."""

import pytest

from engine.contract.failures import Failure
from engine.contract.records import Export


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


def test_the_lines_for_the_engineer_name_the_folder_that_is_inside(pretend_engine, open_page):
    _, app = open_download(pretend_engine, open_page)
    assert 'from_pretrained("base"), "adapter"' in app.code[0].value
