"""Filling in what a person left open in a recipe. The values themselves stand in each method's module."""

from typing import Any

from engine.contract.records import Recipe

FEW, MANY = 400, 1000
"""Up to FEW examples, passes are cheap and needed; above MANY, a few passes already see enough."""
_OF_ONE_METHOD = ("layers", "rank", "virtual_tokens")


def fill(recipe: Recipe, **defaults: Any) -> Recipe:
    """The recipe with each open field of `defaults` filled in, and no knob of another method left in it."""
    foreign = {name: None for name in _OF_ONE_METHOD if name not in defaults}
    opened = {name: value for name, value in defaults.items() if getattr(recipe, name) is None}
    return recipe.model_copy(update=foreign | opened)


def by_examples(examples: int, few: int, more: int, many: int) -> int:
    """Pick by the number of train examples."""
    return few if examples <= FEW else more if examples <= MANY else many
