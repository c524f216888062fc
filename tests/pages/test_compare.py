"""Compare: both sides, as text and nothing but text, with the brand's own words beside them."""

from engine.contract.brand import Brand, BrandRules
from engine.contract.records import Turn


def button(app, label):
    return next(item for item in app.button if item.label == label)


def open_compare(pretend_engine, open_page):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    return open_page("compare", project=project.id, run=run.id)


def texts(app):
    return [item.value.strip("\u2068\u2069") for item in app.text]


def test_both_sides_answer_beside_the_brands_own_text(pretend_engine, open_page):
    app = open_compare(pretend_engine, open_page)
    button(app, "Write both").click()
    app.run()
    assert not app.exception
    shown = texts(app)
    assert "The jacket is a jacket." in shown
    assert "Made for the weather you did not plan." in shown
    assert any(text.startswith("Product") for text in shown)


def test_a_held_out_chat_is_asked_with_what_was_said_before(pretend_engine, open_page):
    project = pretend_engine.add_project()
    dataset = pretend_engine.add_dataset(project.id)
    turns = (Turn(role="user", text="Is the tent dry?"), Turn(role="assistant", text="As a bone."))
    examples = pretend_engine.examples[dataset.id]
    pretend_engine.examples[dataset.id] = [one.model_copy(update={"turns": turns}) for one in examples]
    app = open_page("compare", project=project.id, run=pretend_engine.add_run(dataset).id)
    assert {"Is the tent dry?", "As a bone."} <= set(texts(app))
    button(app, "Write both").click()
    app.run()
    assert pretend_engine.requests[-1].turns == turns


def test_an_answer_survives_a_change_of_settings(pretend_engine, open_page):
    app = open_compare(pretend_engine, open_page)
    button(app, "Write both").click()
    app.run()
    app.run()
    assert "The jacket is a jacket." in texts(app)


def test_another_try_asks_with_another_seed(pretend_engine, open_page):
    app = open_compare(pretend_engine, open_page)
    button(app, "Write both").click()
    app.run()
    button(app, "Another try").click()
    app.run()
    assert [request.seed for request in pretend_engine.requests] == [0, 1]


def test_hostile_text_is_shown_as_text(pretend_engine, open_page):
    pretend_engine.answers["tuned"] = "![x](http://elsewhere/p.png) <script>1</script> \u202eevil\x1b[31m"
    app = open_compare(pretend_engine, open_page)
    button(app, "Write both").click()
    app.run()
    (shown,) = [text for text in texts(app) if "elsewhere" in text]
    assert "\u202e" not in shown
    assert "\x1b" not in shown
    assert not any("elsewhere" in item.value for item in app.markdown)


def test_own_words_can_be_asked_and_have_no_brand_text(pretend_engine, open_page):
    app = open_compare(pretend_engine, open_page)
    app.button_group[0].set_value("My own words")
    app.run()
    assert button(app, "Write both").disabled
    app.text_area[0].set_value("Describe our new tent.")
    app.run()
    button(app, "Write both").click()
    app.run()
    assert pretend_engine.requests[-1].prompt == "Describe our new tent."
    assert "What your brand wrote" not in [item.value for item in app.subheader]


def test_a_failure_while_answering_is_said_where_it_happened(pretend_engine, open_page):
    pretend_engine.refuse("/answers", "busy", "Many answers are being written.", "", "Try again in a moment.")
    app = open_compare(pretend_engine, open_page)
    button(app, "Write both").click()
    app.run()
    assert "Many answers are being written" in app.warning[0].value


def test_answers_are_held_against_the_brands_rules(pretend_engine, open_page):
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    pretend_engine.brands[project.id] = Brand(rules=BrandRules(words_we_never_use=("jacket",)))
    app = open_page("compare", project=project.id, run=run.id)
    button(app, "Write both").click()
    app.run()
    assert any("jacket" in item.value and "never" in item.value for item in app.markdown)
    assert any(item.value == "**Your voice**: nothing to remark" for item in app.markdown)
