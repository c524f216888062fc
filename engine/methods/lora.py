"""lora: low-rank updates on all linear layers of the transformer, the base frozen.

The artefact is a PEFT adapter (`LoraConfig`). The head and the embeddings are left alone.
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

NAME: MethodName = "lora"
IS_ADAPTER = True
DEFAULT_RANK = 16


def build_recipe(recipe: Recipe, examples: int, shape: ModelShape) -> Recipe:
    """With the model in the box (`tests.benchmarks.sweep`), on the sample voice, base 2.705, and 200 entries
    of the sardonic dictionary, base 4.547:

    sample        5e-4, 4 passes    1.800, at step 88 of 88
    dictionary    5e-4, 3 passes    3.771, at step 55 of 69
                  1e-3, 4 passes    3.777, at step 28 of 92, and worse from then on
    help desk     5e-4, 4 passes    1.967, at step 46 of 92
    """
    batch_size = recipe.batch_size or batch_size_for(examples)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=90, least=3, most=10),
        learning_rate=rate_for(shape, 5e-4),
        batch_size=batch_size,
        rank=DEFAULT_RANK,
    )


def count_trainable(shape: ModelShape, recipe: Recipe) -> int:
    rank = recipe.rank or DEFAULT_RANK
    return shape.layers * rank * sum(inputs + outputs for inputs, outputs in shape.projections.values())


def count_flops(shape: ModelShape, recipe: Recipe) -> Flops:
    learnt = count_trainable(shape, recipe)
    base = base_flops(shape, layers_backward=shape.layers, learnt_linear=0)
    return replace(
        base,
        body_forward=base.body_forward + 2 * learnt,
        body_backward=base.body_backward + 4 * learnt,
        # As counted with ONEDNN_VERBOSE=profile_create on a small model; those of the updates besides.
        products=24,
    )


def artefact_bytes(shape: ModelShape, recipe: Recipe) -> int:
    headers = 160 * shape.layers * len(shape.projections) * 2
    return 4 * count_trainable(shape, recipe) + headers + shape.tokenizer_bytes + 8_000


def prepare_model(model: "PreTrainedModel", recipe: Recipe, words: Sequence[int] = ()) -> Any:
    from peft import LoraConfig, get_peft_model

    rank = recipe.rank or DEFAULT_RANK
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=list(read_sizes(model.config.to_dict()).projections),
    )
    return get_peft_model(model, config)


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_adapter

    save_adapter(model, base_folder, folder)
