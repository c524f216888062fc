"""all-layers: every weight of the model learns.

The artefact is a whole `transformers` model folder, as large as the base. Nothing of the base is left in it
to switch back to.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill, rate_for
from engine.methods.flops import Flops, base_flops
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "all-layers"
IS_ADAPTER = False


def build_recipe(recipe: Recipe, examples: int, shape: ModelShape) -> Recipe:
    """With the model in the box on the help desk's voice at 1e-4 and 3 passes, base 3.139 nats per token:
    1.985 at step 48 of 69 (`tests.benchmarks.voices`); other rates have not been tried at this width.

    A fifth of LoRA's rate, which Schulman et al. 2025 ("LoRA Without Regret") put at about ten times that of
    full tuning.
    """
    batch_size = recipe.batch_size or batch_size_for(examples)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=66, least=2, most=8),
        learning_rate=rate_for(shape, 1e-4),
        batch_size=batch_size,
    )


def count_trainable(shape: ModelShape, recipe: Recipe) -> int:
    return shape.parameters


def count_flops(shape: ModelShape, recipe: Recipe) -> Flops:
    learnt = shape.layers * shape.layer_linear_parameters
    return base_flops(shape, layers_backward=shape.layers, learnt_linear=learnt, head_learns=True)


def artefact_bytes(shape: ModelShape, recipe: Recipe) -> int:
    return shape.number_bytes * shape.parameters + shape.tokenizer_bytes + 20_000


def prepare_model(model: "PreTrainedModel", recipe: Recipe, words: Sequence[int] = ()) -> Any:
    model.requires_grad_(True)
    return model


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_whole_model

    save_whole_model(model, base_folder, folder)
