"""Texts that are nearly the same are found together, at any place of the table, in any number."""

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.near_duplicates import group_near_duplicates

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


def sample_texts() -> list[str]:
    with SAMPLE.open(encoding="utf-8-sig", newline="") as file:
        return [row["Text"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Warm ears, clear head.", "warm  EARS,\nclear head!"),
        (
            "Our wool beanie keeps the wind out on every ridge, from the first snow to the last thaw.",
            "Our wool beanie keeps the wind out on every ridge, from the first frost to the last thaw.",
        ),
        (
            "Stay dry in the rain with a jacket that weighs less than your lunch and packs into a pocket.",
            "Stay dry in the rain with a jacket that weighs less than your lunch and packs into a pocket. "
            "Order today!",
        ),
        (
            "星空の下で静かに眠りましょう。風の音を聞きながら、朝まで。",
            "星空の下で静かに眠りましょう。波の音を聞きながら、朝まで。",
        ),
    ],
)
def test_small_changes_do_not_hide_a_repetition(left: str, right: str) -> None:
    others = [text for text in sample_texts() if text not in (left, right)]
    assert [0, 100] in group_near_duplicates([left, *others[:99], right, *others[99:]])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("A tent for two.", "A tent for three."),
        ("This is text number 4 in our voice.", "This is text number 5 in our voice."),
        ("!!!", "???"),
        ("Warm ears, clear head, light feet, and a long way home.", "A long way home with a clear head."),
    ],
)
def test_texts_that_only_resemble_each_other_are_told_apart(left: str, right: str) -> None:
    assert group_near_duplicates([left, right]) == []


def test_the_sample_has_no_repetitions() -> None:
    assert group_near_duplicates(sample_texts()) == []


def test_nine_in_ten_altered_copies_are_found_among_the_sample() -> None:
    """One word in fifteen replaced, at fixed places: what a lazy rewrite leaves."""
    texts = sample_texts()
    altered = [
        " ".join("otherwise" if place % 15 == 7 else word for place, word in enumerate(text.split()))
        for text in texts
    ]
    pairs = group_near_duplicates([*texts, *altered])
    found = sum([number, number + len(texts)] in pairs for number in range(len(texts)))
    assert found >= 0.9 * len(texts)
    assert len(pairs) == found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=20))
def test_each_text_is_in_one_group_at_most_and_equal_texts_are_in_one(texts: list[str]) -> None:
    groups = group_near_duplicates(texts)
    members = [position for group in groups for position in group]
    assert len(members) == len(set(members))
    assert all(group == sorted(group) and len(group) > 1 for group in groups)
    for position, text in enumerate(texts):
        if texts.count(text) > 1:
            assert any(position in group for group in groups)


def test_rows_of_one_template_do_not_take_forever() -> None:
    texts = [f"This is text number {number} in our voice." for number in range(5000)]
    started = time.process_time()
    assert group_near_duplicates(texts) == []
    assert time.process_time() - started < 2
