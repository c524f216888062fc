"""Two versions are compared as their owner would: a rewritten text is a change, not a loss and a find."""

import csv
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.records import Example
from studio.columns import VOICE_PROMPT
from studio.dataset_versions import compare_versions

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


def sample() -> list[Example]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Example(prompt=row["Prompt"], completion=row["Text"], row=number)
        for number, row in enumerate(rows, 2)
    ]


def edited(example: Example, **fields: str) -> Example:
    return example.model_copy(update=fields)


def test_sorting_renumbering_and_another_split_change_nothing() -> None:
    before = sample()
    after = [example.model_copy(update={"row": 7, "split": "validation"}) for example in before]
    random.Random(3).shuffle(after)
    difference = compare_versions(before, after)
    assert difference.unchanged == len(before)
    assert difference.sentence == "The examples are the same."


def test_each_kind_of_change_is_told_apart() -> None:
    before = sample()
    new = Example(
        prompt="Announce the winter sale.", completion="Snow is coming. So are our winter prices.", row=9
    )
    after = [
        edited(before[0], completion=before[0].completion + " Order today."),
        edited(before[1], prompt="Tell people about this helmet."),
        *before[5:],
        new,
    ]
    difference = compare_versions(before, after)
    assert difference.added == (new,)
    assert difference.removed == tuple(before[2:5])
    assert set(difference.changed) == {(before[0], after[0]), (before[1], after[1])}
    assert difference.sentence == "1 added, 3 removed and 2 changed; 191 examples stayed as they were."


def test_a_rewritten_text_is_found_again_although_all_answer_one_prompt() -> None:
    before = [edited(example, prompt=VOICE_PROMPT) for example in sample()]
    after = [edited(example, completion=f"{example.completion} Made to last.") for example in before]
    random.Random(5).shuffle(after)
    difference = compare_versions(before, after)
    assert len(difference.changed) == len(before)
    assert all(new.completion == f"{old.completion} Made to last." for old, new in difference.changed)


def test_a_new_answer_to_the_same_prompt_is_a_change() -> None:
    old = Example(prompt="Describe the lamp.", completion="A lamp for dark nights.")
    new = edited(old, completion="Bright ideas begin here, wherever you sit down to read.")
    assert compare_versions([old], [new]).changed == ((old, new),)


@pytest.mark.parametrize(("before", "after"), [([], []), (sample()[:3], []), ([], sample()[:3])])
def test_an_empty_side_is_no_trouble(before: list[Example], after: list[Example]) -> None:
    difference = compare_versions(before, after)
    assert (len(difference.added), len(difference.removed)) == (len(after), len(before))


EXAMPLES = st.lists(
    st.builds(
        Example,
        prompt=st.sampled_from(["a", "b", "write"]),
        completion=st.sampled_from(["x", "y z", "Shop now. Stay dry.", "Shop now. Stay warm.", "Stay"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(EXAMPLES, EXAMPLES)
def test_every_example_is_counted_exactly_once(before: list[Example], after: list[Example]) -> None:
    difference = compare_versions(before, after)
    paired = len(difference.changed) + difference.unchanged
    assert paired + len(difference.removed) == len(before)
    assert paired + len(difference.added) == len(after)
    assert all(old != new for old, new in difference.changed)


def test_five_thousand_rewritten_rows_take_no_noticeable_time() -> None:
    before = [
        edited(example, prompt=VOICE_PROMPT, completion=f"Number {index} of us. {example.completion}")
        for index, example in enumerate(sample() * 26)
    ][:5000]
    after = [edited(example, completion=f"{example.completion} Order today.") for example in before]
    start = time.process_time()
    difference = compare_versions(before, after)
    # Measured at 0.3 to 0.4 s on one core; the limit leaves room for slower machines.
    assert time.process_time() - start < 2
    assert len(difference.changed) == 5000
