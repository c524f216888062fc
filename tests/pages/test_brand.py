"""The brand page: the voice in words, rules filled in and kept, and any text held against them."""


def button(app, start):
    return next(item for item in app.button if item.label.startswith(start))


def open_brand(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 40)
    return project, open_page("brand", project=project.id)


def test_the_voice_is_described_in_sentences(pretend_engine, open_page):
    _, app = open_brand(pretend_engine, open_page)
    assert not app.exception
    assert any("sentences" in item.value for item in app.markdown)


def test_rules_are_filled_in_from_the_examples_with_one_click_and_kept(pretend_engine, open_page):
    project, app = open_brand(pretend_engine, open_page)
    assert button(app, "Keep rules and facts").disabled
    button(app, "Fill in from your examples").click()
    app.run()
    button(app, "Keep rules and facts").click()
    app.run()
    rules = pretend_engine.brands[project.id].rules
    assert rules.exclamation_marks_at_most == 0 and rules.emoji == "never"
    assert rules.length_bands[0].most_words >= 10


def test_a_word_never_to_use_is_found_in_a_text_and_then_in_the_examples(pretend_engine, open_page):
    project, app = open_brand(pretend_engine, open_page)
    next(box for box in app.text_area if box.label == "Words we never use").set_value("utilise, road")
    next(box for box in app.text_area if box.label == "A text").set_value("We utilised it.")
    app.run()
    assert any("utilised" in item.value and "never" in item.value for item in app.markdown)
    button(app, "Keep rules and facts").click()
    app.run()
    examples = open_page("examples", project=project.id)
    assert any("Words that you never use" in item.value for item in examples.markdown)


def test_a_voice_without_examples_is_led_to_them(pretend_engine, open_page):
    project = pretend_engine.add_project()
    app = open_page("brand", project=project.id)
    button(app, "Go to Examples").click()
    app.run()
    assert app.title[0].value == "Your examples"
