"""What is held out was not learnt in other words, and stays held out."""

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.records import Example
from studio.near_duplicates import group_near_duplicates
from studio.split import assign_split, find_leaks

SCENES = ("ridge", "river", "harbour", "meadow", "valley", "glacier", "forest", "island", "village", "desert")
KIT = ("tent", "jacket", "stove", "lantern", "rucksack", "beanie", "kayak", "hammock", "compass", "blanket")
texts_of_a_brand = st.builds(
    "The {} that you carry over the {} at {} in the morning weighs as little as it costs.".format,
    st.sampled_from(KIT),
    st.sampled_from(SCENES),
    st.integers(1, 12),
)
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
with SAMPLE.open(encoding="utf-8-sig", newline="") as sample:
    distinct = [row["Text"] for row in csv.DictReader(sample)][:100]


def split(texts: Sequence[str]) -> list[Example]:
    return assign_split(
        [Example(prompt="ask", completion=text, row=row) for row, text in enumerate(texts, 2)]
    )


def sides(texts: Sequence[str]) -> dict[str, str]:
    return {example.completion: example.split for example in split(texts)}


@settings(max_examples=50, deadline=None)
@given(st.lists(texts_of_a_brand, max_size=30))
def test_near_duplicates_never_stand_on_both_sides(added: list[str]) -> None:
    texts = [*distinct, *added]
    found = split(texts)
    for group in group_near_duplicates(texts):
        assert len({found[position].split for position in group}) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(texts_of_a_brand, max_size=12), st.randoms(use_true_random=False))
def test_sorting_changes_no_side_even_among_near_duplicates(added: list[str], chance: Random) -> None:
    texts = [*distinct, *added]
    assert sides(texts) == sides(chance.sample(texts, len(texts)))


@settings(max_examples=50, deadline=None)
@given(st.lists(texts_of_a_brand, max_size=8))
def test_what_was_held_out_is_not_learnt_after_rows_were_added(added: list[str]) -> None:
    """Near-duplicates that come later can only move a group to the held out, as long as it stays small."""
    before, after = sides([*distinct, *added[:2]]), sides([*distinct, *added])
    assert {text for text, side in before.items() if side == "validation" and after[text] == "train"} == set()


def test_a_group_too_large_to_spare_is_learnt() -> None:
    """Sixty shapes of one text among forty others: holding it out would leave too little."""
    many = [
        f"Our lantern lights the last mile home on every winter evening, all {n} of them." for n in range(60)
    ]
    found = sides([*many, *distinct[:40]])
    assert {found[text] for text in many} == {"train"}
    assert "validation" in found.values()


def test_leaks_are_named_where_a_split_of_single_rows_would_have_had_them() -> None:
    texts = [f"{text} Carry it home on day {n} of your long walk." for text in distinct[:60] for n in (1, 2)]
    leaks = find_leaks([Example(prompt="ask", completion=text, row=2) for text in texts])
    assert 0 < len(leaks) < len(texts) / 4
    assert find_leaks([Example(prompt="ask", completion=text, row=2) for text in distinct]) == []
