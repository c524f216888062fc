"""Prompts are grouped by the beginning they share, up to where the subject begins."""

import pytest

from studio.prompt_kinds import find_prompt_kinds

PRODUCTS = [f"Write a product description for the {name}" for name in ("tent", "stove", "lamp", "bag")]
REPLIES = [f"Reply to the customer: {words}" for words in ("it broke", "where is it", "wrong size")]
QUESTIONS = ["Is it warm?", "How long does it take?", "Can I return it?", "Who made it?"]


@pytest.mark.parametrize(
    ("prompts", "kinds"),
    [
        ([*PRODUCTS, *REPLIES], [("Write a product description", 4), ("Reply to the customer", 3)]),
        ([f"Define: {word}" for word in "abcdef"], [("Define", 6)]),
        (QUESTIONS, [("", 4)]),
        (["Write in our voice."] * 3, [("Write in our voice", 3)]),
        ([], []),
        ([*PRODUCTS, "A lone one"], [("Write a product description", 4), ("", 1)]),
    ],
)
def test_kinds_are_what_prompts_begin_with(prompts: list[str], kinds: list[tuple[str, int]]) -> None:
    assert [(kind.beginning, kind.examples) for kind in find_prompt_kinds(prompts)] == kinds
