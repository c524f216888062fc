"""last-layers: the last one or two transformer layers learn, everything below stays as it was.

The artefact is a PEFT adapter: the learnt layers travel as `modules_to_save`, beside a LoRA of rank 1 that
PEFT's format asks for; it sits in the first layer, is zero and never learns. So the base stays in memory, and
switching the adapter off gives it back exactly.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill, rate_for
from engine.methods.flops import Flops, base_flops
from engine.models.architecture import read_sizes
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "last-layers"
IS_ADAPTER = True


def build_recipe(recipe: Recipe, examples: int, shape: ModelShape) -> Recipe:
    """On the sample voice with the model in the box (`tests.benchmarks.sweep`), base 2.707:

    5e-4, 6 passes    1.955, at step 121 of 132 (1.957 at step 77)

    On the sardonic dictionary it comes to 1.353 bits per byte (`tests.benchmarks.voices`), the untouched
    model to 1.467, and to 1.338 with three examples in its prompt: two layers do not reach so odd a voice.
    """
    batch_size = recipe.batch_size or batch_size_for(examples)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=130, least=3, most=12),
        learning_rate=rate_for(shape, 5e-4),
        batch_size=batch_size,
        layers=2,
    )


def count_trainable(shape: ModelShape, recipe: Recipe) -> int:
    return _learnt_layers(shape.layers, recipe) * shape.layer_parameters


def count_flops(shape: ModelShape, recipe: Recipe) -> Flops:
    layers = _learnt_layers(shape.layers, recipe)
    flops = base_flops(shape, layers_backward=layers, learnt_linear=layers * shape.layer_linear_parameters)
    return replace(flops, frozen_share=1 - layers / shape.layers)


def artefact_bytes(shape: ModelShape, recipe: Recipe) -> int:
    return shape.number_bytes * count_trainable(shape, recipe) + shape.tokenizer_bytes + 8_000


def prepare_model(model: "PreTrainedModel", recipe: Recipe, words: Sequence[int] = ()) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    last = model.config.num_hidden_layers
    inert = next(iter(read_sizes(model.config.to_dict()).projections))
    first = last - _learnt_layers(last, recipe)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=1,
        lora_alpha=1,
        target_modules=[f"layers.0.self_attn.{inert}"],
        modules_to_save=[f"layers.{number}" for number in range(first, last)],
    )
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    return adapted


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_adapter

    save_adapter(model, base_folder, folder, as_base=True)


def _learnt_layers(layers: int, recipe: Recipe) -> int:
    # The inert LoRA needs a layer that does not learn.
    return min(recipe.layers or 2, layers - 1)
