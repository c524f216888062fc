"""p-tuning: a small encoder learns virtual tokens that stand before the real ones; the base does not change.

The artefact is a PEFT adapter (`PromptEncoderConfig`) of a few kilobytes: the encoder itself is not kept,
only the virtual tokens it wrote.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill
from engine.methods.flops import Flops, base_flops
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

NAME: MethodName = "p-tuning"
IS_ADAPTER = True
DEFAULT_VIRTUAL_TOKENS = 20
_FITTING_STEPS, _FITTING_RATE = 300, 3e-3


def build_recipe(recipe: Recipe, examples: int) -> Recipe:
    """What `python -m tests.benchmarks.sweep FILE --sweep` found on the sample voice with a model of 6M
    parameters, base 2.824:

    learning rate    3e-3 2.512    1e-2 2.467    3e-2 2.492    (20 tokens); 1e-2 2.464 (40 tokens)

    Without beginning with tokens of the vocabulary 1e-2 came to 2.501. It needs many small steps: on an
    earlier model batches of 8 came to 2.952 where batches of 4 came to 2.917.
    """
    batch_size = recipe.batch_size or batch_size_for(examples, few=4)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=480, least=3, most=30),
        learning_rate=1e-2,
        batch_size=batch_size,
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
    adapted = get_peft_model(model, config)
    _begin_with_words(adapted, model.get_input_embeddings().weight.detach())
    return adapted


def _begin_with_words(adapted: Any, embeddings: "torch.Tensor") -> None:
    """Fit the encoder so that its virtual tokens begin as tokens of the vocabulary, drawn by chance.

    Random ones lie where no token does, and most steps go into finding the way back (Lester et al. 2021,
    arXiv 2104.08691, section 3.2: tokens of the vocabulary as a start learn better). Takes a moment: the
    encoder is small.
    """
    import torch

    encoder = adapted.prompt_encoder["default"]
    wanted = embeddings[torch.randint(len(embeddings), (encoder.embedding.num_embeddings,))]
    places = torch.arange(len(wanted))
    optimizer = torch.optim.Adam(encoder.parameters(), lr=_FITTING_RATE)
    scale = wanted.square().mean()
    with torch.enable_grad():
        for _ in range(_FITTING_STEPS):
            error = (encoder(places) - wanted).square().mean() / scale
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(error)
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_adapter

    save_adapter(model, base_folder, folder)


def _virtual_tokens(recipe: Recipe) -> int:
    return recipe.virtual_tokens or DEFAULT_VIRTUAL_TOKENS
