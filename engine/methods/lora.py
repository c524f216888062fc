"""lora: low-rank updates on all linear layers of the transformer, the base frozen.

The artefact is a PEFT adapter (`LoraConfig`). The head and the embeddings are left alone.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill
from engine.methods.flops import Flops, base_flops
from engine.models.architecture import read_sizes
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "lora"
IS_ADAPTER = True
DEFAULT_RANK = 16


def build_recipe(recipe: Recipe, examples: int) -> Recipe:
    """What `python -m tests.benchmarks.sweep FILE --sweep` found on the sample voice with a model of 6M
    parameters, base 2.824:

    learning rate    1e-3 2.160    2e-3 2.106    4e-3 2.126    (rank 16)
    rank             8 2.144       32 2.127                    (2e-3)
    """
    batch_size = recipe.batch_size or batch_size_for(examples, few=8)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=130, least=3, most=15),
        learning_rate=2e-3,
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


def prepare_model(model: "PreTrainedModel", recipe: Recipe) -> Any:
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
