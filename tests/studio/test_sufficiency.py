"""Few, enough or plenty: said as a person who has tuned voices would say it, and never taken back."""

import csv
import random
import time
from itertools import accumulate
from pathlib import Path

import pytest

from engine.contract.records import Example
from studio.columns import VOICE_PROMPT
from studio.learning_curve import measure_curve
from studio.sufficiency import judge_amount

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
SARDONIC = Path(__file__).parent / "voices" / "sardonic_dictionary.csv"
RANKS = {"few": 0, "enough": 1, "plenty": 2}


def sample(file: Path = SAMPLE) -> list[Example]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [Example(prompt=row["Prompt"], completion=row["Text"]) for row in rows]


def plain_voice(count: int) -> list[Example]:
    """A help desk of few words: what it says is soon known."""
    pick = random.Random(7)
    things = [f"parcel {number}" for number in range(count)]
    actions = ["We have sent", "We are packing", "We have found", "You will soon have"]
    ends = ["Thank you for your patience.", "Write to us any time.", "Have a lovely day."]
    return [
        Example(
            prompt=f"Where is {thing}?", completion=f"{pick.choice(actions)} {thing}. {pick.choice(ends)}"
        )
        for thing in things
    ]


@pytest.mark.parametrize(
    ("examples", "verdict"),
    [
        ([], "few"),
        (sample()[:1], "few"),
        (sample()[:20], "few"),
        (sample(), "enough"),
        (plain_voice(40), "few"),
        (plain_voice(600), "plenty"),
    ],
)
def test_the_verdict_is_a_practitioners(examples: list[Example], verdict: str) -> None:
    assert judge_amount(examples).verdict == verdict


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "voice", [sample(), sample(SARDONIC), plain_voice(1000)], ids=["shop", "sardonic", "desk"]
)
def test_more_of_the_same_voice_never_makes_plenty_few(voice: list[Example], seed: int) -> None:
    examples = random.Random(seed).sample(voice, len(voice))
    counts = [count for count in (10, 30, 49, 60, 100, 140, 196, 320, 700, 1000) if count <= len(voice)]
    ranks = [RANKS[judge_amount(examples[:count]).verdict] for count in counts]
    assert all(rank >= best - 1 for rank, best in zip(ranks, accumulate(ranks, max), strict=True))
    assert (ranks[0], ranks[-1] > 0) == (RANKS["few"], True)


def test_the_order_of_the_table_does_not_matter() -> None:
    examples = sample()
    assert judge_amount(examples) == judge_amount(examples[::-1])


def test_copies_do_not_count() -> None:
    examples = sample()[:20]
    assert judge_amount(examples * 30).verdict == "few"
    assert "20 different examples" in judge_amount(examples * 30).sentence


def test_what_is_known_surprises_less_and_less() -> None:
    bits = [step.bits for step in measure_curve([example.completion for example in sample()])]
    assert bits == sorted(bits, reverse=True)


def test_a_neglected_kind_is_named() -> None:
    descriptions = [
        example.model_copy(update={"prompt": f"Write a product description for item {number}"})
        for number, example in enumerate(sample()[:180])
    ]
    replies = [
        Example(
            prompt=f"Reply to the customer who lost item {number}", completion=f"We will find it, {number}."
        )
        for number in range(4)
    ]
    steps = " ".join(judge_amount([*descriptions, *replies]).next_steps)
    assert "180 examples for “Write a product description" in steps
    assert "only 4 for “Reply to the customer" in steps


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (VOICE_PROMPT, f"Every example answers “{VOICE_PROMPT}”"),
        ("Define: {}", "All prompts begin with “Define”"),
    ],
)
def test_prompts_without_variety_are_pointed_out(prompt: str, says: str) -> None:
    examples = [
        Example(prompt=prompt.format(f"w{number}"), completion=f"A thing of beauty, number {number}.")
        for number in range(60)
    ]
    assert says in " ".join(judge_amount(examples).next_steps)


def test_texts_in_any_script_are_judged() -> None:
    examples = [
        Example(prompt=f"商品{number}", completion=f"軽くて丈夫なテント、その{number}。")
        for number in range(60)
    ]
    assert judge_amount(examples).verdict in RANKS


def test_five_thousand_examples_take_no_noticeable_time() -> None:
    examples = [
        example.model_copy(update={"completion": f"{example.completion} Number {index}."})
        for index, example in enumerate(sample() * 26)
    ][:5000]
    start = time.process_time()
    judge_amount(examples)
    # Measured at 0.2 to 0.3 s on one core; the limit leaves room for slower machines.
    assert time.process_time() - start < 1.5
