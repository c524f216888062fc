"""Home: a first visit, a studio with voices, and an engine that is away."""


def titles(app):
    return [title.value for title in app.title]


def button(app, label):
    return next(item for item in app.button if item.label == label)


def test_a_first_visit_says_what_this_is_and_offers_the_sample(pretend_engine, open_page):
    app = open_page("home")
    assert titles(app) == ["Teach a model to write in your brand’s voice"]
    assert len(app.subheader) == 3
    assert button(app, "Try it with a sample")


def test_the_sample_is_one_click_away_from_its_examples(pretend_engine, open_page):
    app = open_page("home")
    button(app, "Try it with a sample").click()
    app.run()
    (project,) = pretend_engine.projects.values()
    assert project.is_sample
    assert titles(app) == ["Your examples"]
    assert app.query_params["project"] == project.id
    assert button(app, "Use these 196 examples")


def test_opening_the_sample_again_does_not_make_a_second_one(pretend_engine, open_page):
    for _ in range(2):
        app = open_page("home")
        if sample := [item for item in app.button if item.label == "Try it with a sample"]:
            sample[0].click()
            app.run()
    assert len(pretend_engine.projects) == 1


def test_a_voice_without_a_name_is_not_made(pretend_engine, open_page):
    app = open_page("home")
    button(app, "Start a new voice").click()
    app.run()
    assert not pretend_engine.projects
    assert any("Give the voice a name" in caption.value for caption in app.caption)


def test_a_new_voice_leads_to_its_examples(pretend_engine, open_page):
    app = open_page("home")
    app.text_input[0].set_value("Harbour & Oak")
    button(app, "Start a new voice").click()
    app.run()
    assert [project.name for project in pretend_engine.projects.values()] == ["Harbour & Oak"]
    assert titles(app) == ["Your examples"]


def test_each_voice_says_where_it_stands_and_only_one_button_is_primary(pretend_engine, open_page):
    empty, ready, tuned = (pretend_engine.add_project(name) for name in ("Empty", "Ready", "Tuned"))
    pretend_engine.add_dataset(ready.id, 40)
    pretend_engine.add_run(pretend_engine.add_dataset(tuned.id))
    app = open_page("home")
    labels = [item.label for item in app.button]
    assert [label for label in labels if label in ("Compare", "Choose a method", "Add examples")] == [
        "Compare",
        "Choose a method",
        "Add examples",
    ]
    assert any("40 examples are ready" in caption.value for caption in app.caption)
    assert [subheader.value for subheader in app.subheader][:3] == ["Tuned", "Ready", "Empty"]
    assert empty.id in pretend_engine.projects


def test_a_name_with_markup_is_shown_as_text(pretend_engine, open_page):
    pretend_engine.add_project("![x](http://elsewhere) <b>*y*</b>")
    app = open_page("home")
    shown = app.subheader[0].value.replace("\N{WORD JOINER}", "")
    assert shown == r"\!\[x\]\(http\:\/\/elsewhere\) \<b\>\*y\*\<\/b\>"


def test_an_engine_that_is_away_is_said_calmly(pretend_engine, open_page):
    pretend_engine.is_down = True
    app = open_page("home")
    assert not app.exception
    assert button(app, "Try again")
    assert any("safe on this machine" in words.value for words in app.markdown)
    pretend_engine.is_down = False
    app.run()
    assert titles(app) == ["Teach a model to write in your brand’s voice"]
