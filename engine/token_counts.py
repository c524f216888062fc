"""How many tokens examples have, without torch or transformers: what estimates and the window check need.

Close to `engine/encoding.py`, which is exact: the template around the text is rendered once for an empty
message and added as a constant. Does not know datasets, methods or runs.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from engine.contract.failures import EngineFailure
from engine.contract.records import Example, TokenCounts
from engine.models import read_shape

# Where a template cannot be rendered on its own: a beginning, two roles and their line ends.
ASSUMED_TEMPLATE_TOKENS = 8
# The end of the answer, which is learnt with it.
END_TOKENS = 1


def count_tokens(model_folder: Path, examples: Sequence[Example]) -> TokenCounts:
    tokenizer, around = _load(model_folder, (model_folder / "tokenizer.json").stat().st_mtime_ns)
    prompts = tokenizer.encode_batch([example.prompt for example in examples], add_special_tokens=False)
    completions = tokenizer.encode_batch(
        [example.completion for example in examples], add_special_tokens=False
    )
    return TokenCounts(
        window_tokens=read_shape(model_folder).window_tokens,
        prompt_tokens=[len(encoding.ids) + around for encoding in prompts],
        completion_tokens=[len(encoding.ids) + END_TOKENS for encoding in completions],
    )


@lru_cache(maxsize=4)
def _load(folder: Path, modified: int) -> tuple[Tokenizer, int]:
    """The tokenizer and the tokens its template adds; `modified` is there for the cache."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        # The library raises bare Exception for every kind of damage.
        raise EngineFailure(
            "model_unusable",
            "This base model's tokenizer cannot be read.",
            "Your examples are safe.",
            "Choose another base model.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, _template_tokens(tokenizer, folder)


def _template_tokens(tokenizer: Tokenizer, folder: Path) -> int:
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    source = _template_source(folder, config)
    if source is None:
        return ASSUMED_TEMPLATE_TOKENS
    try:
        around = _render_empty(source, config)
    except (TemplateError, TypeError, ValueError, KeyError):
        return ASSUMED_TEMPLATE_TOKENS
    return len(tokenizer.encode(around, add_special_tokens=False).ids)


def _template_source(folder: Path, config: dict[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8")
    source = config.get("chat_template")
    return source if isinstance(source, str) else None


def _render_empty(source: str, config: dict[str, Any]) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        messages=[{"role": "user", "content": ""}],
        add_generation_prompt=True,
        bos_token=_token(config.get("bos_token")),
        eos_token=_token(config.get("eos_token")),
    )


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
