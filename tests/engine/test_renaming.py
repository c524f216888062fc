"""Renaming: the same new name in prompt and completion, what the thing is stays, all else is untouched."""

import numpy as np
import pytest

from engine.renaming import Renamer, find_name

SOCKS = {
    "src": "retaildemo",
    "prompt": "Write a product description for Sleek Comfort Ankle Socks.",
    "completion": "Our Sleek Comfort Ankle Socks hug your feet.",
}


TENT = {
    "src": "retaildemo",
    "prompt": "Sell the Rocky Ridge Tent.",
    "completion": "The Rocky Ridge Tent holds.",
}


def rename(pair: dict[str, str], seed: int = 1) -> dict[str, str]:
    return Renamer([TENT]).rename(pair, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_a_product_gets_one_new_name_in_both_and_stays_the_thing_it_is(seed):
    renamed = rename(SOCKS, seed)
    new = renamed["prompt"].removeprefix("Write a product description for ").removesuffix(" Ankle Socks.")
    assert new and new != "Sleek Comfort" and new[0].isupper()
    assert renamed["completion"] == f"Our {new} Ankle Socks hug your feet."
    assert renamed["src"] == "retaildemo"


def test_the_same_seed_invents_the_same_name_and_others_invent_others():
    prompts = {rename(SOCKS, seed)["prompt"] for seed in range(30)}
    assert rename(SOCKS, 7) == rename(SOCKS, 7)
    assert len(prompts) > 20


def test_a_proper_name_gives_way_as_a_whole_and_its_article_stays():
    pair = {"src": "e2e", "prompt": "Name: The Rice Boat\nFood: Thai", "completion": "The Rice Boat is Thai."}
    renamed = rename(pair)
    new = renamed["prompt"].removeprefix("Name: The ").removesuffix("\nFood: Thai")
    assert "Rice" not in new and renamed["completion"] == f"The {new} is Thai."


def test_a_number_gives_way_to_another_of_its_length():
    renamed = rename(
        {"src": "bitext", "prompt": "cancel order 00123842", "completion": "Order 00123842 it is."}
    )
    number = renamed["prompt"].removeprefix("cancel order ")
    assert number.isdigit() and len(number) == 8 and number != "00123842"
    assert renamed["completion"] == f"Order {number} it is."


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ("Write a product description for a scarf.", "A warm scarf."),
        ("Describe Red Boots.", "They keep you dry."),
        ("I'm waiting", "I'm sorry"),
        ("The parcel of The", "The parcel"),
        ("", ""),
    ],
)
def test_a_pair_that_shares_no_name_stays_as_it_is(prompt, completion):
    pair = {"src": "bitext", "prompt": prompt, "completion": completion}
    assert find_name(pair) is None and rename(pair) is pair


def test_part_of_a_longer_word_is_no_name():
    assert find_name({"src": "e2e", "prompt": "About Ann.", "completion": "Annual sale."}) is None
