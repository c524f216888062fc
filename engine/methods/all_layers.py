"""all-layers: every weight of the model learns.

The artefact is a whole `transformers` model folder, as large as the base. Nothing of the base is left in it
to switch back to.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.records import MethodName, Recipe
from engine.methods.defaults import batch_size_for, epochs_for, fill
from engine.methods.flops import Flops, base_flops
from engine.models.inspect import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: MethodName = "all-layers"
IS_ADAPTER = False


def build_recipe(recipe: Recipe, examples: int) -> Recipe:
    """What `python -m tests.benchmarks.sweep FILE --sweep` found on the sample voice with a model of 6M
    parameters, base 2.824:

    learning rate    2.5e-4 1.999    5e-4 1.974    1e-3 2.094
    """
    batch_size = recipe.batch_size or batch_size_for(examples, few=8)
    return fill(
        recipe,
        epochs=epochs_for(examples, batch_size, steps=100, least=2, most=12),
        learning_rate=5e-4,
        batch_size=batch_size,
    )


def count_trainable(shape: ModelShape, recipe: Recipe) -> int:
    return shape.parameters


def count_flops(shape: ModelShape, recipe: Recipe) -> Flops:
    learnt = shape.layers * shape.layer_linear_parameters
    return base_flops(shape, layers_backward=shape.layers, learnt_linear=learnt, head_learns=True)


def artefact_bytes(shape: ModelShape, recipe: Recipe) -> int:
    return 4 * shape.parameters + shape.tokenizer_bytes + 20_000


def prepare_model(model: "PreTrainedModel", recipe: Recipe) -> Any:
    model.requires_grad_(True)
    return model


def save_artefact(model: Any, base_folder: Path, folder: Path) -> None:
    from engine.methods.artefacts import save_whole_model

    save_whole_model(model, base_folder, folder)
