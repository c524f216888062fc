"""p-tuning: a small encoder learns virtual tokens that stand before the real ones; the base does not change.

The artefact is a PEFT adapter (`PromptEncoderConfig`) of a few kilobytes: the encoder itself is not kept,
only the virtual tokens it wrote.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import by_examples, fill
from engine.methods.flops import Flops, base_flops
from engine.models import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "p-tuning"
IS_ADAPTER = True
DEFAULT_VIRTUAL_TOKENS = 20


def build_recipe(recipe: Recipe, examples: int) -> Recipe:
    return fill(
        recipe,
        epochs=by_examples(examples, few=16, more=8, many=5),
        learning_rate=1e-2,
        batch_size=by_examples(examples, few=8, more=16, many=16),
        virtual_tokens=DEFAULT_VIRTUAL_TOKENS,
    )


def count_trainable(shape: ModelShape, recipe: Recipe) -> int:
    """The virtual tokens' own embeddings and the encoder's three linear layers with their biases."""
    hidden = shape.hidden_size
    return _virtual_tokens(recipe) * hidden + 3 * (hidden * hidden + hidden)


def count_flops(shape: ModelShape, recipe: Recipe) -> Flops:
    base = base_flops(shape, layers_backward=shape.layers, learnt_linear=0)
    encoder = 6.0 * _virtual_tokens(recipe) * 3 * shape.hidden_size**2
    return replace(base, virtual_tokens=_virtual_tokens(recipe), per_step=encoder)


def artefact_bytes(shape: ModelShape, recipe: Recipe) -> int:
    return 4 * _virtual_tokens(recipe) * shape.hidden_size + shape.tokenizer_bytes + 7_000


def prepare_model(model: "PreTrainedModel", recipe: Recipe) -> Any:
    from peft import PromptEncoderConfig, get_peft_model

    config = PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=_virtual_tokens(recipe),
        encoder_hidden_size=model.config.hidden_size,
    )
    return get_peft_model(model, config)


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_adapter

    save_adapter(model, base_folder, folder)


def _virtual_tokens(recipe: Recipe) -> int:
    return recipe.virtual_tokens or DEFAULT_VIRTUAL_TOKENS
