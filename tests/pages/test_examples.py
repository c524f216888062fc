"""Examples: from a file to a kept version, and what is said when the file is no good."""

import pytest


def button(app, start):
    return next(item for item in app.button if item.label.startswith(start))


def upload(app, name, data):
    app.file_uploader[0].upload(name, data, "text/csv")
    return app.run()


def table(rows, header="Prompt,Text"):
    return "\n".join(
        [header, *(f"Describe lamp {i},Lamp {i} makes evenings longer." for i in range(rows))]
    ).encode()


def test_a_table_is_read_checked_split_and_kept(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(40))
    assert [box.value for box in app.selectbox] == ["Prompt", "Text"]
    button(app, "Use these 40 examples").click()
    app.run()
    (dataset,) = pretend_engine.datasets.values()
    assert dataset.examples_train + dataset.examples_validation == 40
    assert dataset.examples_validation > 0
    assert app.title[0].value == "How shall it learn?"


def test_the_columns_can_be_corrected(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(40))
    app.selectbox[0].set_value("Text")
    app.selectbox[1].set_value("Prompt")
    app.run()
    button(app, "Use these").click()
    app.run()
    (examples,) = pretend_engine.examples.values()
    assert examples[0].completion.startswith("Describe lamp")


def test_too_few_examples_cannot_be_used_and_the_reason_is_said(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "few.csv", table(4))
    assert button(app, "Use these examples").disabled
    assert any("at least 10" in item.value or "between 10" in item.value for item in app.caption)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(200), b"PK\x03\x04" + bytes(200)])
def test_a_file_that_is_no_table_gets_a_sentence(data, pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "what.csv", data)
    assert not app.exception
    assert app.warning
    assert not pretend_engine.datasets


def test_a_table_too_long_offers_two_ways_out(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "long.csv", table(20_500))
    assert {item.label for item in app.button} >= {"Take rows from everywhere", "Take the first rows"}
    button(app, "Take the first rows").click()
    app.run()
    assert button(app, "Use these")


def test_new_examples_can_come_on_top_of_those_that_are_there(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 40)
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(20))
    app.radio[0].set_value("Come on top of them")
    app.run()
    button(app, "Use these 60 examples").click()
    app.run()
    newest = list(pretend_engine.datasets.values())[-1]
    assert newest.version == 2
    assert newest.examples_train + newest.examples_validation == 60


def test_a_voice_with_examples_shows_them_and_leads_on(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 40)
    app = open_page("examples", project=project.id)
    assert app.dataframe
    button(app, "Choose a method").click()
    app.run()
    assert app.title[0].value == "How shall it learn?"
