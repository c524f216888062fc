"""Examples held against a base model: whether each fits its window, and whether it knows their language.

Does not know how tokens are counted or languages are told apart.
"""

from collections.abc import Sequence

from engine.contract.failures import EngineFailure
from engine.contract.records import BaseModelInfo, Example, Finding
from studio.base_models import check_language, find_model
from studio.engine_client import EngineClient
from studio.language import find_language
from studio.window import Window


def check_against_model(client: EngineClient, base_model: str, examples: Sequence[Example]) -> list[Finding]:
    """All that this model cannot make of these examples. May raise EngineFailure("not_found")."""
    model = find_model(client.models(), base_model)
    if model is None:
        raise EngineFailure("not_found", f"There is no base model named “{base_model}” here.")
    if model.problem:
        return [_unchecked(model)]
    window = Window(model.window_tokens, lambda some: client.token_counts(base_model, some))
    language = find_language([example.completion for example in examples]) if model.languages else None
    return [*check_language(model, language), *window.check(examples)]


def _unchecked(model: BaseModelInfo) -> Finding:
    return Finding(
        severity="warning",
        kind="model-unusable",
        message=f"Your examples could not be held against the base model “{model.title}”. {model.problem}",
        remedy="Until then nobody knows whether each example fits into what it can read.",
    )
