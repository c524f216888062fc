"""Filling in what a person left open in a recipe. The values themselves stand in each method's module."""

from typing import Any

from engine.contract.records import Recipe

_OF_ONE_METHOD = ("layers", "rank", "virtual_tokens")
_FEW_EXAMPLES = 400


def fill(recipe: Recipe, **defaults: Any) -> Recipe:
    """The recipe with each open field of `defaults` filled in, and no knob of another method left in it."""
    foreign = {name: None for name in _OF_ONE_METHOD if name not in defaults}
    opened = {name: value for name, value in defaults.items() if getattr(recipe, name) is None}
    return recipe.model_copy(update=foreign | opened)


def batch_size_for(examples: int, few: int) -> int:
    """With many examples, larger batches: the same passes in half the steps."""
    return few if examples <= _FEW_EXAMPLES else 2 * few


def epochs_for(examples: int, batch_size: int, steps: int, least: int, most: int) -> int:
    """Passes that come to about `steps` optimizer steps; stopping early guards against too many."""
    return min(max(round(steps * batch_size / max(examples, 1)), least), most)
