"""Method: four cards, one recommended, one button, one run however often it is pressed."""

from tests.pages.conftest import BUNDLED, MULTILINGUAL


def button(app, start):
    return next(item for item in app.button if item.label.startswith(start))


GERMAN = "Das Zelt Nummer {} steht in fünf Minuten und bleibt auch dann stehen, wenn der Wind es anders will."


def open_method(pretend_engine, open_page, **text):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 100, **text)
    return project, open_page("method", project=project.id)


def words(app):
    kinds = (app.markdown, app.caption, app.warning)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "")


def choose_model(app, name):
    app.radio(key=next(item.key for item in app.radio if item.label == "Base model")).set_value(name)
    app.run()


def test_four_methods_are_offered_and_one_is_recommended(pretend_engine, open_page):
    _, app = open_method(pretend_engine, open_page)
    assert {"Last layers", "All layers", "P-tuning", "LoRA"} <= {item.value for item in app.subheader}
    assert [item.label for item in app.button].count("Chosen") == 1


def test_another_method_can_be_chosen_and_is_what_starts(pretend_engine, open_page):
    project, app = open_method(pretend_engine, open_page)
    button(app, "Choose P-tuning").click()
    app.run()
    button(app, "Start tuning").click()
    app.run()
    (run,) = pretend_engine.runs.values()
    assert run.recipe.method == "p-tuning"
    assert app.title[0].value == "Run 1, P-tuning"
    assert app.query_params["run"] == run.id
    assert app.query_params["project"] == project.id


def test_a_start_sent_twice_is_one_run(pretend_engine, open_page):
    """The first answer gets lost on the way; the person presses again."""
    _, app = open_method(pretend_engine, open_page)
    real, lost = pretend_engine._start_run, []

    def lose_the_first_answer(body):
        run = real(body)
        if not lost:
            lost.append(run)
            raise pretend_engine.unreachable()
        return run

    pretend_engine._start_run = lose_the_first_answer
    button(app, "Start tuning").click()
    app.run()
    assert "not answering" in app.warning[0].value
    button(app, "Start tuning").click()
    app.run()
    assert len(pretend_engine.runs) == 1


def test_an_advanced_setting_is_estimated_anew_and_starts_with_the_run(pretend_engine, open_page):
    _, app = open_method(pretend_engine, open_page)
    passes = next(item for item in app.number_input if item.label.startswith("Passes"))
    passes.set_value(9)
    app.run()
    button(app, "Start tuning").click()
    app.run()
    (run,) = pretend_engine.runs.values()
    assert run.recipe.epochs == 9


def test_a_method_that_does_not_fit_cannot_be_started(pretend_engine, open_page):
    real = pretend_engine.estimate
    pretend_engine.estimate = lambda recipe: real(recipe).model_copy(update={"fits": False})
    _, app = open_method(pretend_engine, open_page)
    assert button(app, "Start tuning").disabled


def test_a_single_base_model_is_named_and_others_can_be_brought(pretend_engine, open_page):
    _, app = open_method(pretend_engine, open_page)
    assert not [item for item in app.radio if item.label == "Base model"]
    assert "Your voice will be tuned on **SmolLM2 135M Instruct**, which knows English only" in words(app)


def test_each_base_model_has_a_verdict_and_the_chosen_one_is_tuned(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    real = pretend_engine.estimate
    big = {"fits": False, "peak_memory_bytes": 40_000_000_000}
    pretend_engine.estimate = lambda recipe: real(recipe).model_copy(
        update=big if recipe.base_model == MULTILINGUAL.name else {}
    )
    _, app = open_method(pretend_engine, open_page)
    (choice,) = [item for item in app.radio if item.label == "Base model"]
    assert choice.value == BUNDLED.name
    captions = " | ".join(choice.proto.captions).replace("\\", "")
    assert "135 million parameters · knows English only · LoRA: about" in captions
    assert "Too large for this machine’s memory: LoRA needs 40 GB, and 12 GB are free" in captions
    asked_ahead = [request for request in pretend_engine.estimate_requests if not request.measures]
    assert {recipe.base_model for request in asked_ahead for recipe in request.recipes} == {MULTILINGUAL.name}

    pretend_engine.estimate = real
    choose_model(app, MULTILINGUAL.name)
    assert app.query_params["model"] == MULTILINGUAL.name
    button(app, "Start tuning").click()
    app.run()
    (run,) = pretend_engine.runs.values()
    assert run.recipe.base_model == MULTILINGUAL.name


def test_a_voice_goes_on_with_the_base_model_of_its_last_run(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    project = pretend_engine.add_project()
    run = pretend_engine.add_run(pretend_engine.add_dataset(project.id))
    recipe = run.recipe.model_copy(update={"base_model": MULTILINGUAL.name})
    pretend_engine.runs[run.id] = run.model_copy(update={"recipe": recipe})
    app = open_page("method", project=project.id)
    assert [item.value for item in app.radio if item.label == "Base model"] == [MULTILINGUAL.name]


def test_a_language_that_the_model_does_not_know_is_said_and_asked_about(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    _, app = open_method(pretend_engine, open_page, text=GERMAN)
    assert "Your texts are German; SmolLM2 135M Instruct knows English only." in words(app)
    assert button(app, "Start tuning").disabled
    (anyway,) = [item for item in app.checkbox if item.label == "Tune on this model anyway"]
    anyway.check()
    app.run()
    button(app, "Start tuning").click()
    app.run()
    assert len(pretend_engine.runs) == 1
    assert "Your texts are German" in words(app), "the page of the run says it too"


def test_a_model_that_knows_the_language_is_silent(pretend_engine, open_page):
    pretend_engine.models.append(MULTILINGUAL)
    _, app = open_method(pretend_engine, open_page, text=GERMAN)
    choose_model(app, MULTILINGUAL.name)
    assert "Your texts are" not in words(app)
    button(app, "Start tuning").click()
    app.run()
    assert len(pretend_engine.runs) == 1


def test_a_model_that_cannot_be_used_is_not_offered(pretend_engine, open_page):
    broken = MULTILINGUAL.model_copy(update={"problem": "Its folder is gone.", "parameters": 0})
    pretend_engine.models.append(broken)
    _, app = open_method(pretend_engine, open_page)
    assert not [item for item in app.radio if item.label == "Base model"]
    pretend_engine.models[:] = [broken]
    app.run()
    assert "Its folder is gone." in words(app)
