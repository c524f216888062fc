"""Filling in what a person left open in a recipe, by rules that know the examples and the model's size.

What each method starts from stands in its module, as it was measured on the model in the box.
"""

from math import floor, log10
from typing import Any

from engine.contract.records import Recipe
from engine.models.inspect import ModelShape

REFERENCE_WIDTH = 576
"""Hidden size of the model in the box, SmolLM2-135M, on which `tests.benchmarks.sweep` found the rates."""
_OF_ONE_METHOD = ("layers", "rank", "virtual_tokens")
_FEW_EXAMPLES = 400


def fill(recipe: Recipe, **defaults: Any) -> Recipe:
    """The recipe with each open field of `defaults` filled in, and no knob of another method left in it."""
    foreign = {name: None for name in _OF_ONE_METHOD if name not in defaults}
    opened = {name: value for name, value in defaults.items() if getattr(recipe, name) is None}
    return recipe.model_copy(update=foreign | opened)


def rate_for(shape: ModelShape, at_reference: float) -> float:
    """The peak learning rate for a model of this width, to two digits; `at_reference` is that for 576.

    It falls with 1/width, as Adam's rate for hidden weights must for a layer's output to change as much (muP:
    Yang et al. 2022, arXiv 2203.03466, table 3). At width 256, on a model of 6M parameters, it makes 1.1e-3
    for last-layers and for LoRA and 2.2e-4 for all-layers, where 1e-3, 2e-3 and 5e-4 were measured best and
    1e-3 and 2.5e-4 came within 3 % of their loss. Other widths are extrapolated: no other model was at hand.
    At 960, as a model of 360M parameters has, LoRA gets 3e-4.
    """
    rate = at_reference * REFERENCE_WIDTH / shape.hidden_size
    return round(rate, 1 - floor(log10(rate)))


def batch_size_for(examples: int) -> int:
    """With many examples, larger batches: the same passes in half the steps."""
    return 8 if examples <= _FEW_EXAMPLES else 16


def epochs_for(examples: int, batch_size: int, steps: int, least: int, most: int) -> int:
    """Passes that come to about `steps` optimizer steps; stopping early guards against too many."""
    return min(max(round(steps * batch_size / max(examples, 1)), least), most)
