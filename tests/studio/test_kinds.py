"""A prompt alone tells which kind of text it asks for."""

import pytest

from studio.kinds import find_kind
from studio.prompt_kinds import find_prompt_kinds


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (
            "Write a product description for the TrailHug 50L Backpack by Legend.",
            "Write a product description",
        ),
        ("Write a product description: Vigor 2.0 Insulated Jacket", "Write a product description"),
        ("Product description for Gravity Harness, Gravitator.", "Product description"),
        ("Describe the Trek Xtreme Hiking Shoes from Raptor Elite.", "Describe"),
        ("Define: patriot", "Define"),
        ("Write a friendly reply to a customer who waits.", "Write a friendly reply"),
        ("Summarise this support ticket:\nHello", "Summarise"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_a_kind_is_what_its_prompts_begin_with(prompt: str, kind: str) -> None:
    assert find_kind(prompt) == kind


@pytest.mark.parametrize("kind", ["Write a product description", "Describe", "Define"])
def test_one_prompt_tells_the_kind_that_many_share(kind: str) -> None:
    prompts = [f"{kind}: {subject}" for subject in ("Fell 30", "Kestrel", "Lagoon")]
    assert {find_kind(prompt) for prompt in prompts} == {kind}
    assert [found.beginning for found in find_prompt_kinds(prompts)] == [kind]
