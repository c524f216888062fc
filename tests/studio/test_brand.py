"""One function holds any text against a brand's rules: it says which rule, where and why, and never fails."""

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.brand import Brand, BrandRules, Fact, LengthBand
from engine.contract.records import Example
from studio.brand import check_examples_by_rules, check_text, count_uses
from studio.brand_suggestions import suggest_rules

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
BAND = LengthBand(least_words=3, most_words=8, least_characters=10, most_characters=60)
ALL_RULES = BrandRules(
    length_bands=(BAND,),
    words_we_never_use=("utilise", "cheap", "reach out", "™"),
    spelling="british",
    exclamation_marks_at_most=1,
    oxford_comma="never",
    emoji="never",
    reading_grade_at_most=8,
)


def make_brand(facts: tuple[Fact, ...] = (), **rules: object) -> Brand:
    return Brand(rules=BrandRules.model_validate({"facts_from_brief": False, **rules}), facts=facts)


def make_examples(*texts: str) -> list[Example]:
    return [
        Example(prompt=f"Write a line about tea {row}.", completion=text, row=row)
        for row, text in enumerate(texts, 2)
    ]


def sample() -> list[Example]:
    with SAMPLE.open(encoding="utf-8") as file:
        return [
            Example(prompt=row["Prompt"], completion=row["Text"], row=number)
            for number, row in enumerate(csv.DictReader(file), 2)
        ]


@pytest.mark.parametrize(
    ("rules", "text", "rule", "marked", "message"),
    [
        (
            {"words_we_never_use": ("utilise",)},
            "We utilise clay.",
            "words-we-never-use",
            "utilise",
            "“utilise” is on your list of words never to use.",
        ),
        (
            {"words_we_never_use": ("utilise",)},
            "Utilizing clay.",
            "words-we-never-use",
            "Utilizing",
            "“Utilizing” is another form of “utilise”, which is on your list of words never to use.",
        ),
        (
            {"words_we_never_use": ("game changer",)},
            "A real Game-changer.",
            "words-we-never-use",
            "Game-changer",
            "“Game-changer” is on your list of words never to use.",
        ),
        (
            {"words_we_never_use": ("reach out",)},
            "She reached out to us.",
            "words-we-never-use",
            "reached out",
            "“reached out” is another form of “reach out”, which is on your list of words never to use.",
        ),
        (
            {"spelling": "british"},
            "A colorful cup.",
            "spelling",
            "colorful",
            "“colorful” is American spelling; you write British English: “colourful”.",
        ),
        (
            {"spelling": "american"},
            "Grey is our favourite.",
            "spelling",
            "Grey",
            "“Grey” is British spelling; you write American English: “Gray”.",
        ),
        (
            {"exclamation_marks_at_most": 1},
            "Tea! Now! Go!",
            "exclamation-marks",
            "!",
            "This text has 3 exclamation marks; you allow 1 in a text.",
        ),
        (
            {"exclamation_marks_at_most": 0},
            "Tea!",
            "exclamation-marks",
            "!",
            "This text has 1 exclamation mark; you use none.",
        ),
        (
            {"oxford_comma": "never"},
            "Red, green, and blue.",
            "oxford-comma",
            ",",
            "There is a comma before the last “and” of a list; you never put one there.",
        ),
        (
            {"oxford_comma": "always"},
            "Red, green or blue.",
            "oxford-comma",
            " ",
            "A comma is missing before the last “or” of a list; you always put one there.",
        ),
        ({"emoji": "never"}, "Tea time ☕ now", "emoji", "☕", "“☕” is an emoji; you use none."),
        (
            {"length_bands": (BAND,)},
            "Two words",
            "length",
            "Two words",
            "This text has 2 words; your rules say 3 to 8.",
        ),
        (
            {"length_bands": (BAND,)},
            "A b c d",
            "length",
            "A b c d",
            "This text has 7 characters; your rules say 10 to 60.",
        ),
        (
            {"facts_from_brief": True},
            "Yours for £29.",
            "facts",
            "£29",
            "“£29” is not in your brief.",
        ),
    ],
)
def test_a_remark_says_which_rule_where_and_why(
    rules: dict[str, object], text: str, rule: str, marked: str, message: str
) -> None:
    remarks = check_text(text, make_brand(**rules), "Write about a cup.")
    first = remarks[0]
    assert (first.rule, text[first.start : first.end], first.message) == (rule, marked, message)


def test_a_hard_text_is_told_from_an_easy_one() -> None:
    brand = make_brand(reading_grade_at_most=8)
    hard = (
        "Notwithstanding considerable organisational complexity, contemporary manufacturers "
        "increasingly prioritise environmentally responsible distribution infrastructure."
    )
    assert [remark.rule for remark in check_text(hard, brand)] == ["reading-grade"]
    assert check_text("Put the tea in the pot. Pour hot water on it. Wait a bit, then drink.", brand) == []


def test_a_text_that_keeps_all_rules_has_no_remark() -> None:
    brand = Brand(rules=ALL_RULES, facts=(Fact(name="Price", value="£29"),))
    assert check_text("A red, round cup for £29. Lovely!", brand, "Write about our cup.") == []


def test_what_no_rule_is_set_for_is_not_checked() -> None:
    assert check_text("Utilize color!!! 🎉 Red, green, and blue for £99.", make_brand()) == []


def test_a_text_without_any_brief_is_not_held_against_one() -> None:
    assert check_text("Yours for £29.", Brand()) == []


def test_a_proper_name_keeps_its_spelling() -> None:
    assert check_text("See it at the Lincoln Center today.", make_brand(spelling="british")) == []


def test_the_length_of_a_kind_goes_before_the_length_of_all_others() -> None:
    subject = LengthBand(
        kind="Write a subject line", least_words=1, most_words=3, least_characters=1, most_characters=30
    )
    brand = make_brand(length_bands=(BAND, subject))
    assert check_text("Tea is here", brand, "Write a subject line: tea") == []
    [remark] = check_text("Tea is here at last", brand, "write a subject line about tea")
    assert "where the prompt begins with “Write a subject line”" in remark.message
    assert check_text("Tea is here at last", brand, "Write a subject liner note") == []


def test_remarks_stand_in_the_order_of_the_text() -> None:
    text = "Color! Cheap red, green, and blue cups! Utilised by 12 people 🎉"
    remarks = check_text(text, Brand(rules=ALL_RULES), "Write about cups.")
    assert [remark.start for remark in remarks] == sorted(remark.start for remark in remarks)
    assert {remark.rule for remark in remarks} >= {
        "spelling", "words-we-never-use", "oxford-comma", "exclamation-marks", "facts", "emoji",
    }  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100))
def test_no_text_makes_a_check_fail(text: str, prompt: str) -> None:
    for remark in check_text(text, Brand(rules=ALL_RULES), prompt):
        assert 0 <= remark.start <= remark.end <= len(text)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), max_size=5), st.text(max_size=100))
def test_any_list_of_words_can_be_forbidden(words: list[str], text: str) -> None:
    brand = make_brand(words_we_never_use=tuple(words))
    for remark in check_text(text, brand):
        assert remark.start < remark.end


def test_findings_name_the_rule_its_rows_and_a_sample() -> None:
    examples = make_examples("We utilise clay.", "Good tea.", "Utilised twice!", "More tea!")
    brand = make_brand(words_we_never_use=("utilise",), exclamation_marks_at_most=0)
    never, marks = check_examples_by_rules(examples, brand)
    assert (never.kind, never.severity, never.rows) == ("brand-words-we-never-use", "warning", [2, 4])
    assert "rows 2 and 4, such as “utilise”" in never.message
    assert (marks.kind, marks.rows) == ("brand-exclamation-marks", [4, 5])


def test_one_prompt_for_all_examples_is_no_brief() -> None:
    examples = [Example(prompt="Write in our voice.", completion="Only £29.", row=row) for row in (2, 3)]
    assert check_examples_by_rules(examples, Brand()) == []
    sheet = Brand(facts=(Fact(name="Price", value="£30"),))
    assert [finding.kind for finding in check_examples_by_rules(examples, sheet)] == ["brand-facts"]


def test_words_we_use_are_asked_of_all_examples_together() -> None:
    examples = make_examples("Crafted by hand.", "Tea, well made.")
    [finding] = check_examples_by_rules(examples, make_brand(words_we_use=("craft", "linger")))
    assert finding.kind == "brand-words-we-use"
    assert "“linger”" in finding.message
    assert "“craft”" not in finding.message


def test_uses_are_counted_by_text_and_in_every_form() -> None:
    texts = ["Crafted by hand. We craft.", "A craft.", "Aircraft and watercraft."]
    assert count_uses(texts, ["craft", "by hand"]) == {"craft": 2, "by hand": 1}


def test_no_examples_have_no_findings() -> None:
    assert check_examples_by_rules([], Brand(rules=ALL_RULES)) == []


def test_a_big_fact_sheet_does_not_slow_down_each_text() -> None:
    facts = tuple(Fact(name=f"Product {row}", value=f"{row} days at £{row}") for row in range(2_000))
    brand = Brand(facts=facts)
    check_text("Only £1.", brand, "Write.")
    started = time.process_time()
    for _ in range(20):
        assert check_text("Only £7,777.", brand, "Write.")
    # Reading 2,000 facts anew takes far over 50 ms each time.
    assert (time.process_time() - started) / 20 < 0.02


def test_a_typical_text_is_checked_in_about_a_millisecond() -> None:
    examples = sample()
    brand = Brand(rules=suggest_rules(examples))
    started = time.process_time()
    for example in examples:
        check_text(example.completion, brand, example.prompt)
    # Measured 0.3 ms; far more is let pass, since test machines are busy.
    assert (time.process_time() - started) / len(examples) < 0.005
