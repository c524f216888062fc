"""Base models in words: what each is, what it reads, which languages it knows, and which one a voice uses.

Takes records as they come from the engine. Does not know how a model is added or shown.
"""

import re
from collections.abc import Sequence

from engine.contract.records import BUNDLED_MODEL, BaseModelInfo, Estimate, Finding, Run
from studio.language import LANGUAGES, are_related
from studio.wording import render_bytes, render_duration_range, render_list, render_words

_LANGUAGES_NAMED = 3


def usable(models: Sequence[BaseModelInfo]) -> list[BaseModelInfo]:
    """Those that can be tuned now."""
    return [model for model in models if not model.problem]


def find_model(models: Sequence[BaseModelInfo], name: str) -> BaseModelInfo | None:
    return next((model for model in models if model.name == name), None)


def choose_model(models: Sequence[BaseModelInfo], wanted: str | None, runs: Sequence[Run]) -> str:
    """The wanted one if it can be used, else that of the newest run, else the one that comes with us."""
    names = [model.name for model in usable(models)]
    wishes = (wanted, *(run.recipe.base_model for run in runs), BUNDLED_MODEL, *names)
    return next((name for name in wishes if name in names), BUNDLED_MODEL)


# --- in words -------------------------------------------------------------------------------------------


def render_size(model: BaseModelInfo) -> str:
    """ "134 million parameters", "1.2 billion parameters"."""
    if model.parameters >= 995_000_000:
        return f"{model.parameters / 1e9:.1f} billion parameters"
    return f"{model.parameters / 1e6:,.0f} million parameters"


def render_facts(model: BaseModelInfo) -> str:
    """Sizes, what it reads at once, languages and licence, as far as they are known."""
    facts = [
        render_size(model),
        f"{render_bytes(model.bytes)} on disk",
        f"reads about {render_words(model.window_tokens)} words at once",
        f"knows {render_languages(model.languages)}" if model.languages else "",
        f"licence {model.licence}" if model.licence else "",
    ]
    return " · ".join(fact for fact in facts if fact)


def render_copy(model: BaseModelInfo) -> str:
    """Said where a model was unpacked from a file with fewer bits; else empty."""
    if not model.quantised_from:
        return ""
    found = re.search(r"\d+", model.quantised_from)
    bits = found[0] if found else ""
    article = "an" if bits == "8" else "a"
    copy = f"{article} {bits}-bit copy" if bits else "a compressed copy"
    return f"You tune {copy} ({model.quantised_from}) of it."


def render_languages(codes: Sequence[str]) -> str:
    """ "English only", "English and German", "English, French, German and 5 more"."""
    names = [LANGUAGES.get(code, code.upper()) for code in codes]
    if len(names) == 1:
        return f"{names[0]} only"
    if len(names) > _LANGUAGES_NAMED + 1:
        named = ", ".join(names[:_LANGUAGES_NAMED])
        return f"{named} and {len(names) - _LANGUAGES_NAMED} more"
    return render_list(names)


# --- for these examples on this machine -----------------------------------------------------------------


def render_verdict(estimate: Estimate, method: str) -> str:
    """What tuning would take on a model, or that it is too large: "LoRA: about 2 minutes, 1.4 GB"."""
    needed = render_bytes(estimate.peak_memory_bytes)
    if not estimate.fits:
        free = render_bytes(estimate.memory_available_bytes)
        return f"Too large for this machine’s memory: {method} needs {needed}, and {free} are free"
    return f"{method}: {render_duration_range(estimate.seconds_range)}, {needed} of memory"


def explain_removal(model: BaseModelInfo) -> str:
    """What becomes of the files of a model that is taken off the list."""
    if model.source == "upload":
        return "The copy kept with your projects is deleted."
    return "Your files stay where they are."


def speaks(model: BaseModelInfo, language: str | None) -> bool:
    """False only if both languages are known and the model's are others."""
    if language is None or not model.languages:
        return True
    return any(are_related(language, known) for known in model.languages)


def explain_language(model: BaseModelInfo, language: str) -> str:
    """ "Your texts are German; SmolLM2 135M Instruct knows English only."."""
    knows = render_languages(model.languages)
    but = "" if len(model.languages) == 1 else f", but not {LANGUAGES[language]}"
    return f"Your texts are {LANGUAGES[language]}; {model.title} knows {knows}{but}."


def advise_language(language: str) -> str:
    name = LANGUAGES[language]
    return f"Results will be poor; choose a base model that knows {name}."


def check_language(model: BaseModelInfo, language: str | None) -> list[Finding]:
    """A remark if the examples are in a language that the model does not know."""
    if language is None or speaks(model, language):
        return []
    return [
        Finding(
            severity="warning",
            kind="model-language",
            message=explain_language(model, language),
            remedy=f"{advise_language(language)} Choose another on the Method page, or add one in Settings.",
        )
    ]
