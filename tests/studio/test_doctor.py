"""The doctor names each flaw with its rows, says what to do, and is quick on a table of any size allowed."""

import csv
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.contract.records import Example, Finding
from studio.doctor import ACTIONS, examine, group_by_action
from studio.near_duplicates import group_near_duplicates
from studio.repairs import REPAIRS, Repair, repair

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
with SAMPLE.open(encoding="utf-8-sig", newline="") as sample:
    PAIRS = [(row["Prompt"], row["Text"]) for row in csv.DictReader(sample)]


def examples_of(pairs: list[tuple[str, str]]) -> list[Example]:
    return [
        Example(prompt=prompt, completion=text, row=row) for row, (prompt, text) in enumerate(pairs, start=2)
    ]


def found(*added: tuple[str, str]) -> dict[str, Finding]:
    """What the doctor finds of the rows after 197, the last one of the sample."""
    findings = examine(examples_of([*PAIRS, *added]))
    return {finding.kind: finding for finding in findings if not finding.rows or max(finding.rows) > 197}


def test_the_sample_is_sound_but_for_what_is_odd_in_it() -> None:
    assert {finding.kind for finding in examine(examples_of(PAIRS))} <= {"off-voice", "same-prompt"}


@pytest.mark.parametrize(
    ("kind", "added"),
    [
        ("placeholder", ("Announce the sale to [NAME].", "The winter prices are going, and so is the snow.")),
        ("placeholder", ("Announce it.", "Dear {{first_name}}, the winter prices are going.")),
        ("encoding-damage", ("Who doesnâ€™t?", "Everybody loves a warm hut at the end of the day.")),
        ("html", ("Announce it.", "The winter prices<br>are going, and so is the snow.")),
        ("personal-data", ("Reply to jo@example.com.", "Your tent is on its way to you, and so is the sun.")),
        ("personal-data", ("Reply to Jo.", "We sent it to 12 Mulberry Lane, where the sun is.")),
        ("near-duplicate", ("Once more.", PAIRS[7][1].replace(".", "!"))),
        (
            "same-prompt",
            (PAIRS[7][0].upper() + "!", "Quite another text of ours, about the very same thing."),
        ),
        (
            "other-language",
            ("Auf Deutsch.", "Dieses Zelt steht in fünf Minuten, und es bleibt auch im Wind stehen."),
        ),
        ("chatbot", ("Announce it.", "Sure, here is a text about a tent that you may like.")),
        ("too-short", ("Announce it.", "Shop now")),
        ("no-words", ("Announce it.", "1,234.50")),
        ("lost-letters", ("Announce it.", "The winter prices are g\ufffding, and so is the snow.")),
    ],
)
def test_a_flaw_is_named_with_its_row_and_what_to_do(kind: str, added: tuple[str, str]) -> None:
    finding = found(added)[kind]
    assert 198 in finding.rows
    assert finding.message and finding.remedy


def test_swapped_columns_are_suspected() -> None:
    swapped = examine(examples_of([(text, prompt) for prompt, text in PAIRS]))
    assert "swapped-columns" in {finding.kind for finding in swapped}


def test_long_complaints_with_short_replies_are_not_taken_for_swapped() -> None:
    asked = "My parcel number {} is late, and I waited at home for it all day long."
    pairs = [(asked.format(number), f"Sorry! Number {number} is on its way.") for number in range(30)]
    assert "swapped-columns" not in {finding.kind for finding in examine(examples_of(pairs))}


def test_examples_added_by_hand_have_a_row_to_be_named_by() -> None:
    by_hand = [Example(prompt="Announce it.", completion="Dear [NAME], it is here, and so is the sun.")] * 2
    finding = next(one for one in examine([*examples_of(PAIRS), *by_hand]) if one.kind == "placeholder")
    assert finding.rows == [198, 199]


def test_a_leak_is_reported_as_prevented() -> None:
    twice = [(f"Once more: {prompt}", f"{text} Really.") for prompt, text in PAIRS]
    finding = found(*twice)["leak-prevented"]
    assert finding.severity == "note"
    assert finding.rows


def test_findings_stand_under_what_to_do_the_worst_first() -> None:
    few = examples_of(PAIRS[:8])
    groups = dict(
        group_by_action(
            [*examine(few), *found(("Reply.", "Mail jo@example.com, it&#39;s &amp; warm.")).values()]
        )
    )
    assert set(groups) <= set(ACTIONS)
    assert next(iter(groups)) == "Look at"
    assert [finding.kind for finding in groups["Look at"]] == ["too-few"]
    assert "html" in {finding.kind for finding in groups["Mend with one click"]}
    assert "personal-data" in {finding.kind for finding in groups["Decide"]}


def test_no_examples_are_no_reason_to_fail() -> None:
    assert [finding.kind for finding in examine([])] == ["too-few"]


def test_5_000_rows_are_examined_in_about_a_second() -> None:
    """In seconds of work, so that a busy machine fails no test; the first call loads the language model."""
    pairs = [
        (f"{prompt} ({n})", f"{text} Made in batch {n} for you.") for n in range(26) for prompt, text in PAIRS
    ]
    examples = examples_of(pairs[:5000])
    started = time.process_time()
    examine(examples)
    assert time.process_time() - started < 2
    assert group_near_duplicates([example.completion for example in examples])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60).filter(str.strip), max_size=12))
@example(["\x00\u202e\u200d\ufdfa\U000e0001 " * 8, "\x85\u2028 \u2029x", "&#xd800; &#0; Ã\xad\xa0\x80"])
def test_no_text_whatsoever_is_too_much_for_the_doctor(texts: list[str]) -> None:
    examples = examples_of([*PAIRS[:40], *((text, text) for text in texts)])
    for finding in examine(examples):
        for way in ways_of(finding):
            repaired = repair(examples, finding, way.choice)
            assert len(repaired) <= len(examples)
            assert all(one == Example.model_validate(one.model_dump()) for one in repaired)


def ways_of(finding: Finding) -> list[Repair]:
    proposed = REPAIRS.get(finding.kind)
    return [] if proposed is None else [proposed, *proposed.others]
