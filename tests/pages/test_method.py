"""Method: four cards, one recommended, one button, one run however often it is pressed."""


def button(app, start):
    return next(item for item in app.button if item.label.startswith(start))


def open_method(pretend_engine, open_page):
    project = pretend_engine.add_project()
    pretend_engine.add_dataset(project.id, 100)
    return project, open_page("method", project=project.id)


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
