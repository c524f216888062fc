"""Examples: from a file to a kept version, and what is said when the file is no good."""

import time

import pytest

from tests.pages.conftest import BUNDLED, MULTILINGUAL

GERMAN = "Das Zelt Nummer {} steht in fünf Minuten und bleibt auch dann stehen, wenn der Wind es anders will."


def button(app, start):
    return next(item for item in app.button if item.label.startswith(start))


def upload(app, name, data):
    app.file_uploader[0].upload(name, data, "text/csv")
    return settle(app.run())


def settle(app):
    """Large tables are read beside the page, which looks again by a timer that these tests do not have."""
    deadline = time.monotonic() + 60
    while any("takes a few seconds" in caption.value for caption in app.caption):
        assert time.monotonic() < deadline
        time.sleep(0.1)
        app.run()
    return app


def table(rows, header="Prompt,Text"):
    return "\n".join(
        [header, *(f"Describe lamp {i},Lamp {i} makes evenings longer." for i in range(rows))]
    ).encode()


def test_a_table_is_read_checked_split_and_kept(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(40))
    assert [box.value for box in app.selectbox][:2] == ["Prompt", "Text"]
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
    settle(app.run())
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


def upload_with(pretend_engine, open_page, row):
    """The page of a new voice, with thirty sound examples and one more row."""
    project = pretend_engine.add_project()
    return upload(open_page("examples", project=project.id), "lamps.csv", table(30) + row)


def test_a_remark_is_mended_with_one_click_and_taken_back_with_another(pretend_engine, open_page):
    app = upload_with(
        pretend_engine,
        open_page,
        b"\nDescribe the oven,Don\xc3\xa2\xe2\x82\xac\xe2\x84\xa2t wait: bake today.\n",
    )
    assert any("damaged" in item.value for item in app.markdown)
    button(app, "Put the letters right").click()
    app.run()
    assert any("letters put right" in item.value for item in app.markdown)
    button(app, "Use these 31 examples").click()
    app.run()
    (examples,) = pretend_engine.examples.values()
    assert examples[-1].completion == "Don’t wait: bake today."


def test_an_undone_repair_leaves_the_text_as_it_was(pretend_engine, open_page):
    app = upload_with(pretend_engine, open_page, b"\nDescribe the oven,Bake <b>today</b> &amp; tomorrow.\n")
    button(app, "Keep the plain text").click()
    app.run()
    button(app, "Undo").click()
    app.run()
    button(app, "Use these 31 examples").click()
    app.run()
    (examples,) = pretend_engine.examples.values()
    assert examples[-1].completion == "Bake <b>today</b> &amp; tomorrow."


def test_the_rows_of_a_remark_are_shown_beneath_it_and_put_away_again(pretend_engine, open_page):
    app = upload_with(pretend_engine, open_page, b"\nDescribe the oven,Bake <b>today</b> &amp; tomorrow.\n")
    button(app, "Show these rows").click()
    app.run()
    (shown,) = app.dataframe
    assert shown.value["Row"].tolist() == [32]
    labels = [item.label for item in app.button]
    assert labels.index("Hide these rows") < labels.index("Show all rows")
    button(app, "Hide these rows").click()
    app.run()
    assert len(app.dataframe[-1].value) == 31


def test_all_rows_stand_in_the_grid_again_once_a_remark_is_settled(pretend_engine, open_page):
    app = upload_with(
        pretend_engine, open_page, b"\nDescribe the oven,Write to anna@example.com today and bake tomorrow.\n"
    )
    button(app, "Show these rows").click()
    app.run()
    button(app, "Keep them as they are").click()
    app.run()
    assert len(app.dataframe[-1].value) == 31


def test_pasted_cells_become_examples(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = open_page("examples", project=project.id)
    app.text_area[0].set_value(table(20).decode().replace(",", "\t"))
    app.run()
    button(app, "Use these 20 examples").click()
    app.run()
    (dataset,) = pretend_engine.datasets.values()
    assert dataset.source_name == "The pasted text"


def test_the_example_is_shown_exactly_as_the_model_reads_it(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(20))
    assert any("Lamp 0 makes evenings longer." in item.value for item in app.text)
    assert any("of them learnt" in item.value for item in app.caption)


def test_an_earlier_version_can_be_compared_and_gone_back_to(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 40)
    pretend_engine.add_dataset(project.id, 30)
    app = open_page("examples", project=project.id)
    assert any("10" in item.value and "removed" in item.value.lower() for item in app.markdown)
    button(app, "Go back to version 1").click()
    app.run()
    assert any("Version 1 of this voice" in item.value for item in app.caption)


def test_several_columns_are_joined_to_one_prompt_and_shown_before_it_is_kept(pretend_engine, open_page):
    project = pretend_engine.add_project()
    rows = "\n".join(
        ["Format,Product,Text", *(f"newsletter,lamp {i},Lamp {i} makes evenings longer." for i in range(20))]
    )
    app = upload(open_page("examples", project=project.id), "lamps.csv", rows.encode())
    app.selectbox[0].set_value("Several columns, joined")
    app.run()
    next(box for box in app.text_input if box.label.startswith("Joined")).set_value(
        "Write a {Format} about {Product}."
    )
    app.run()
    assert any("Write a newsletter about lamp 0" in item.value.replace("\\", "") for item in app.caption)
    button(app, "Use these 20 examples").click()
    app.run()
    (examples,) = pretend_engine.examples.values()
    assert examples[3].prompt == "Write a newsletter about lamp 3."


def test_a_large_table_stands_on_sheets_and_its_examples_are_chosen_by_number(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = upload(open_page("examples", project=project.id), "lamps.csv", table(1_200))
    assert len(app.dataframe[-1].value) == 500
    assert app.dataframe[-1].value["Row"].iloc[0] == 2
    app.pagination[0].set_value(3)
    app.run()
    assert app.dataframe[-1].value["Row"].tolist() == list(range(1_002, 1_202))
    next(one for one in app.number_input if one.label == "Example, of 1,200").set_value(700)
    app.run()
    assert any("Lamp 699 makes evenings longer." in item.value for item in app.text)


def test_a_click_does_not_fetch_kept_examples_again(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 40)
    app = open_page("examples", project=project.id)
    pretend_engine.examples.clear()
    app.run()
    assert not app.exception
    assert button(app, "Choose a method")


# --- the base model of the voice --------------------------------------------------------------------------


def open_with_model(pretend_engine, open_page, **address):
    pretend_engine.models.append(MULTILINGUAL)
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 60, text=GERMAN)
    return open_page("examples", project=project.id, **address)


def all_words(app):
    return " ".join(item.value for item in app.markdown).replace("\\", "")


def test_examples_in_a_language_that_the_model_does_not_know_are_a_finding(pretend_engine, open_page):
    app = open_with_model(pretend_engine, open_page)
    assert not app.exception
    assert "Your texts are German; SmolLM2 135M Instruct knows English only." in all_words(app)
    assert set(pretend_engine.read_by) == {BUNDLED.name}


def test_the_chosen_model_reads_the_examples_and_knows_their_language(pretend_engine, open_page):
    app = open_with_model(pretend_engine, open_page, model=MULTILINGUAL.name)
    assert not app.exception
    assert "Your texts are" not in all_words(app)
    assert set(pretend_engine.read_by) == {MULTILINGUAL.name}
