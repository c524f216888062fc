"""p-tuning: a small encoder learns virtual tokens that stand before the real ones; the base does not change.

They begin as the words of a brief (`engine/brief.py`), so at the level of a good prompt (Lester et al. 2021,
arXiv 2104.08691, section 3.2: words as a start learn better than chance). The artefact is a PEFT adapter
(`PromptEncoderConfig`) of a few hundred kilobytes: the encoder itself is not kept, only the virtual tokens
it wrote.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill
from engine.methods.flops import Flops, base_flops
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "p-tuning"
IS_ADAPTER = True
DEFAULT_VIRTUAL_TOKENS = 128
"""Room for an instruction and one to four examples."""


def build_recipe(recipe: Recipe, examples: int, shape: ModelShape) -> Recipe:
    """With the model in the box at 3e-3 and 4 passes, in bits per byte (`tests.benchmarks.voices`):

    sample       untouched 0.823    three examples in its prompt 0.760    tuned 0.643    LoRA 0.547
    help desk    untouched 1.170    three examples in its prompt 0.953    tuned 0.794    LoRA 0.731

    Before the first step the sample is at 2.586 nats per token with a brief of 100 tokens, 2.537 with 200
    and 2.541 with 400; untouched 2.709. The rate holds for every width: what the encoder adds is in units of
    the words' spread.
    """
    batch_size = recipe.batch_size or batch_size_for(examples)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=90, least=3, most=10),
        learning_rate=3e-3,
        batch_size=batch_size,
        virtual_tokens=min(DEFAULT_VIRTUAL_TOKENS, shape.window_tokens // 4),
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


def prepare_model(model: "PreTrainedModel", recipe: Recipe, words: Sequence[int] = ()) -> Any:
    import torch
    from peft import PromptEncoderConfig, get_peft_model

    from engine.methods.word_encoder import WordEncoder

    tokens = _virtual_tokens(recipe)
    config = PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=tokens, encoder_hidden_size=model.config.hidden_size
    )
    adapted: Any = get_peft_model(model, config)
    embedding: Any = model.get_input_embeddings()
    ids = torch.tensor(words) if words else torch.randint(embedding.num_embeddings, (tokens,))
    adapted.prompt_encoder["default"] = WordEncoder(config, embedding(ids).detach())
    return adapted


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_adapter

    save_adapter(model, base_folder, folder)


def _virtual_tokens(recipe: Recipe) -> int:
    return recipe.virtual_tokens or DEFAULT_VIRTUAL_TOKENS
