"""Base models on a page: which one a voice uses, a choice among them with a verdict for each, and a language
that the chosen one does not know. Does not know how models are added.
"""

from collections.abc import Sequence

import streamlit as st

from engine.contract.failures import EngineFailure
from engine.contract.records import BaseModelInfo, Dataset, Estimate, EstimateRequest, Recipe
from studio.background import Job
from studio.base_models import (
    advise_language,
    choose_model,
    explain_language,
    find_model,
    render_languages,
    render_size,
    render_verdict,
    speaks,
    usable,
)
from studio.glossary import explain
from studio.language import find_language
from studio.navigation import page
from studio.recipes import METHOD_TEXTS
from studio.ui.kept import load_kept
from studio.ui.session import engine, recall, remember, set_model
from studio.ui.stepper import OpenProject
from studio.ui.text import escape

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 0.6
RECIPES_AT_ONCE = 8
_WORKING_OUT = "working out time and memory for your examples …"
Verdicts = dict[str, Estimate]


def model_in_use(opened: OpenProject, models: Sequence[BaseModelInfo]) -> str:
    """The name of the base model on which this voice learns next."""
    return choose_model(models, opened.wanted_model, opened.runs)


def language_of(dataset: Dataset) -> str | None:
    """The language of kept examples, found once: they never change."""
    known = recall(f"language-{dataset.id}")
    if known is None:
        known = find_language([example.completion for example in load_kept(dataset)]) or ""
        remember(f"language-{dataset.id}", known)
    return known or None


def show_language(model: BaseModelInfo, language: str | None) -> bool:
    """Say that the model does not know the language of the examples; True if that is so."""
    if language is None or speaks(model, language):
        return False
    sentence = f"**{escape(explain_language(model, language))}** {escape(advise_language(language))}"
    st.warning(sentence, icon=":material/translate:")
    return True


def show_model_choice(
    opened: OpenProject, models: Sequence[BaseModelInfo], dataset: Dataset, of_current: Estimate
) -> None:
    """The base models that can be tuned, the one in use marked; another choice draws the page anew.

    `of_current` is what LoRA takes on the one in use.
    """
    current, offered = of_current.recipe.base_model, usable(models)
    if len(offered) < 2:
        _show_only_one(find_model(models, current))
        return
    verdicts, is_done = _find_verdicts(dataset, [model for model in offered if model.name != current])
    verdicts = {**verdicts, current: of_current}
    language = language_of(dataset)
    names = [model.name for model in offered]
    chosen = st.radio(
        "Base model",
        names,
        index=names.index(current),
        format_func=lambda name: escape(_title(models, name)),
        captions=[escape(_describe(model, verdicts, is_done, language)) for model in offered],
        key=f"base-model-{current}",
        help=explain("base model"),
    )
    if not is_done:
        _look_again(dataset, [model for model in offered if model.name != current])
    _link_to_settings("Add or remove base models")
    if chosen != current:
        set_model(opened.project.id, chosen)
        st.rerun()


def _show_only_one(model: BaseModelInfo | None) -> None:
    if model:
        knows = f", which knows {render_languages(model.languages)}" if model.languages else ""
        tuned = f"Your voice will be tuned on **{escape(model.title)}**{escape(knows)}."
        st.caption(tuned, help=explain("base model"))
    _link_to_settings("Use another base model")


def _link_to_settings(label: str) -> None:
    st.page_link(page("settings"), label=label, icon=":material/deployed_code:")


def _title(models: Sequence[BaseModelInfo], name: str) -> str:
    model = find_model(models, name)
    return model.title if model else name


def _describe(model: BaseModelInfo, verdicts: Verdicts, is_done: bool, language: str | None) -> str:
    """Size, language and verdict in one line."""
    parts = [render_size(model)]
    if model.languages:
        is_foreign = not speaks(model, language)
        parts.append(
            f"knows {render_languages(model.languages)}" + (", not your texts’" if is_foreign else "")
        )
    if model.name in verdicts:
        parts.append(render_verdict(verdicts[model.name], METHOD_TEXTS["lora"].title))
    elif not is_done:
        parts.append(_WORKING_OUT)
    return " · ".join(parts)


# --- verdicts -------------------------------------------------------------------------------------------


def _find_verdicts(dataset: Dataset, models: Sequence[BaseModelInfo]) -> tuple[Verdicts, bool]:
    """What LoRA would take on each model, as far as that is known by now, and whether it is all."""
    job = _verdict_job(dataset, models)
    if not job.finishes_within(PATIENCE_SECONDS):
        return {}, False
    return job.result(), True


def _verdict_job(dataset: Dataset, models: Sequence[BaseModelInfo]) -> Job[Verdicts]:
    key = f"verdicts-{dataset.id}-{'/'.join(model.fingerprint for model in models)}"
    job: Job[Verdicts] | None = recall(key)
    if job is None:
        client, names = engine(), [model.name for model in models]

        def work(tell: object) -> Verdicts:
            found: Verdicts = {}
            for start in range(0, len(names), RECIPES_AT_ONCE):
                recipes = [
                    Recipe(base_model=name, method="lora") for name in names[start : start + RECIPES_AT_ONCE]
                ]
                request = EstimateRequest(dataset_id=dataset.id, recipes=recipes, measures=False)
                try:
                    estimates = client.estimates(request)
                except EngineFailure:
                    continue
                found |= {estimate.recipe.base_model: estimate for estimate in estimates}
            return found

        job = Job(work)
        remember(key, job)
    return job


@st.fragment(run_every=LOOK_SECONDS)
def _look_again(dataset: Dataset, models: Sequence[BaseModelInfo]) -> None:
    st.caption("A new base model takes a moment the first time.")
    if _verdict_job(dataset, models).is_done:
        st.rerun()
