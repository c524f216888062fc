"""Method: the four ways to tune with their time, memory and money; one recommended; one button to start."""

import streamlit as st

from engine.contract.failures import EngineFailure
from engine.contract.records import (
    METHOD_NAMES,
    BaseModelInfo,
    Dataset,
    Estimate,
    EstimateRequest,
    MethodName,
    NewRun,
    Recipe,
    Run,
)
from studio.base_models import find_model, usable
from studio.glossary import explain
from studio.navigation import page
from studio.recipes import METHOD_TEXTS, Knob, Recommendation, knobs_for, recommend
from studio.ui.actions import show_main_button
from studio.ui.cards import show_method_card
from studio.ui.models import language_of, model_in_use, show_language, show_model_choice
from studio.ui.notices import attempt, guard
from studio.ui.session import click_key, engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.text import escape
from studio.wording import render_duration_range

LOOK_SECONDS = 3.0
HIGHEST = {
    "epochs": 100,
    "batch_size": 256,
    "layers": 2,
    "rank": 256,
    "virtual_tokens": 200,
    "seed": 2**31 - 1,
}


def changed_settings(method: MethodName) -> dict[str, object]:
    """What the person has set otherwise than the default, by field of the recipe."""
    changed: dict[str, object] = recall(f"knobs-{method}", {})
    return changed


def estimate_methods(dataset: Dataset, base_model: str) -> dict[MethodName, Estimate]:
    recipes = [
        Recipe.model_validate({"base_model": base_model, "method": method, **changed_settings(method)})
        for method in METHOD_NAMES
    ]
    with st.spinner("Working out time, memory and money for your examples …"):
        found = engine().estimates(EstimateRequest(dataset_id=dataset.id, recipes=recipes))
    return {estimate.method: estimate for estimate in found}


def show_recommendation(recommendation: Recommendation) -> None:
    with st.container(key="lead-method"):
        st.markdown(f"We recommend **{METHOD_TEXTS[recommendation.method].title}** for these examples.")
    st.markdown(escape(recommendation.reason))


def show_cards(
    dataset: Dataset, estimates: dict[MethodName, Estimate], recommended: MethodName, chosen: MethodName
) -> None:
    grid = st.grid(2, min_column_width=320, gap="small")
    for method in METHOD_NAMES:
        with grid:
            picked = show_method_card(estimates[method], method == recommended, method == chosen)
        if picked:
            remember(f"method-{dataset.id}", method)
            st.rerun()


def show_advanced(estimate: Estimate) -> None:
    """The knobs of the chosen method; what differs from the default is kept and estimated anew."""
    method = estimate.method
    with st.expander(f"Advanced settings for {METHOD_TEXTS[method].title}"):
        st.caption(
            "The defaults learn well on most brand voices. Each setting says what it costs to change it."
        )
        grid = st.grid(2, min_column_width=280)
        for knob in knobs_for(method):
            with grid.cell():
                show_knob(knob, estimate)
        if changed_settings(method) and st.button("Back to the defaults", type="tertiary"):
            forget(f"knobs-{method}")
            remember("knobs-generation", recall("knobs-generation", 0) + 1)
            st.rerun()


def show_knob(knob: Knob, estimate: Estimate) -> None:
    now = getattr(estimate.recipe, knob.field)
    value = ask_value(knob, now, f"knob-{estimate.method}-{knob.field}-{recall('knobs-generation', 0)}")
    st.caption(knob.trade_off)
    if value is not None and value != now:
        remember(f"knobs-{estimate.method}", {**changed_settings(estimate.method), knob.field: value})
        st.rerun()


def ask_value(knob: Knob, now: bool | int | float, key: str) -> bool | int | float | None:
    """The widget that fits the setting: a switch, a whole number, or a small fraction."""
    if isinstance(now, bool):
        return st.toggle(knob.name, value=now, key=key, help=explain(knob.term))
    if knob.field in HIGHEST:
        lowest = 0 if knob.field == "seed" else 1
        return st.number_input(
            knob.name, lowest, HIGHEST[knob.field], int(now), 1, key=key, help=explain(knob.term)
        )
    return st.number_input(knob.name, 1e-6, 1.0, float(now), 1e-4, "%.5f", key=key, help=explain(knob.term))


def show_start(opened: OpenProject, dataset: Dataset, estimate: Estimate, is_agreed: bool) -> None:
    """The one button. Its key makes a double click one run."""
    note = (
        f"{METHOD_TEXTS[estimate.method].title}, {render_duration_range(estimate.seconds_range)}. "
        "You can close the page meanwhile and stop at any time."
    )
    if not is_agreed:
        note = "Choose a base model that knows the language of your texts, or tick that you want this one."
    if not estimate.fits:
        note = "This method needs more memory than is free. Close other programs, or choose another one."
    if show_main_button("Start tuning", note, disabled=not (estimate.fits and is_agreed)):
        start(opened, dataset, estimate.recipe)


def ask_about_language(model: BaseModelInfo, dataset: Dataset) -> bool:
    """True if the model knows the language of the examples, or the person wants it nevertheless."""
    if not show_language(model, language_of(dataset)):
        return True
    return st.checkbox("Tune on this model anyway", key=f"anyway-{dataset.id}-{model.name}")


def start(opened: OpenProject, dataset: Dataset, recipe: Recipe) -> None:
    what = f"{dataset.id} {recipe.model_dump_json()}"
    started: list[Run] = []
    order = NewRun(key=click_key(what), dataset_id=dataset.id, recipe=recipe)
    if attempt(lambda: started.append(engine().start_run(order))):
        forget(f"key {what}")
        st.switch_page(page("tuning"), query_params=opened.address(started[0].id))


@st.fragment(run_every=LOOK_SECONDS)
def await_calibration(dataset: Dataset, recipe: Recipe) -> None:
    """Say why the ranges are wide, and draw them anew as soon as this machine has been measured."""
    st.caption(
        "How fast this machine is, is still being found out, so the times are wide. "
        "They narrow by themselves, usually within a minute."
    )
    with guard():
        again = engine().estimates(EstimateRequest(dataset_id=dataset.id, recipes=[recipe]))
        if again[0].calibrated:
            st.rerun()


def model_to_tune(opened: OpenProject, models: list[BaseModelInfo]) -> BaseModelInfo:
    """The one in use; EngineFailure if none can be used, not even the one that comes with us."""
    model = find_model(usable(models), model_in_use(opened, models))
    if model is None:
        problem = next((model.problem for model in models if model.problem), "There is no base model here.")
        raise EngineFailure("model_unusable", problem, "Your examples are safe.", "Add one in Settings.")
    return model


def show_methods(opened: OpenProject, dataset: Dataset) -> None:
    models = engine().models()
    model = model_to_tune(opened, models)
    estimates = estimate_methods(dataset, model.name)
    recommendation = recommend(list(estimates.values()), dataset.examples_train, engine().machine())
    chosen: MethodName = recall(f"method-{dataset.id}", recommendation.method)
    is_agreed = ask_about_language(model, dataset)
    show_recommendation(recommendation)
    show_model_choice(opened, models, dataset, estimates["lora"])
    show_cards(dataset, estimates, recommendation.method, chosen)
    show_advanced(estimates[chosen])
    if not estimates[chosen].calibrated:
        await_calibration(dataset, estimates[chosen].recipe)
    show_start(opened, dataset, estimates[chosen], is_agreed)


opened = open_project("method")
st.title("How shall it learn?", anchor=False)
if opened.dataset:
    show_methods(opened, opened.dataset)
