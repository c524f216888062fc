"""One click fills the brand's rules from the examples, with reasons that are true of them."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.brand import Brand, BrandRules
from engine.contract.records import Example
from studio.brand import check_text
from studio.brand_reasons import explain_suggestions
from studio.brand_suggestions import suggest_rules
from studio.columns import VOICE_PROMPT

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


def sample() -> list[Example]:
    with SAMPLE.open(encoding="utf-8") as file:
        return [
            Example(prompt=row["Prompt"], completion=row["Text"], row=number)
            for number, row in enumerate(csv.DictReader(file), 2)
        ]


def make_examples(*texts: str, prompt: str = VOICE_PROMPT) -> list[Example]:
    return [Example(prompt=prompt, completion=text, row=row) for row, text in enumerate(texts, 2)]


def explain(examples: list[Example], rule: str) -> str:
    reasons = explain_suggestions(examples, suggest_rules(examples))
    return next(reason.text for reason in reasons if reason.rule == rule)


def test_the_shops_habits_become_its_rules() -> None:
    rules = suggest_rules(sample())
    assert (rules.spelling, rules.oxford_comma, rules.emoji) == ("american", "always", "never")
    assert rules.exclamation_marks_at_most == 0
    assert {"durable", "lightweight"} <= set(rules.words_we_use)
    assert rules.words_we_never_use == ()
    kinds = {band.kind for band in rules.length_bands}
    assert kinds == {"", "Write a product description", "Describe", "Product description"}


@pytest.mark.parametrize("rule", ["length", "exclamation-marks", "emoji", "reading-grade"])
def test_nine_in_ten_of_the_examples_keep_each_suggested_rule(rule: str) -> None:
    examples = sample()
    brand = Brand(rules=suggest_rules(examples))
    broken = [
        example.row
        for example in examples
        if any(remark.rule == rule for remark in check_text(example.completion, brand, example.prompt))
    ]
    assert len(broken) <= len(examples) / 10


def test_a_reason_gives_the_true_share() -> None:
    examples = make_examples(*["word " * 40] * 18, "word " * 3, "word " * 300)
    band = suggest_rules(examples).length_bands[0]
    inside = sum(band.least_words <= len(e.completion.split()) <= band.most_words for e in examples)
    assert explain(examples, "length") == (
        f"9 of 10 of your texts have {band.least_words} to {band.most_words} words."
    )
    assert 18 <= inside < 20


def test_all_is_said_only_when_it_is_all() -> None:
    assert explain(make_examples(*["one two three"] * 12), "length").startswith("All of your texts")


def test_mixed_spelling_is_left_open_and_said() -> None:
    examples = make_examples(*["The colour of the color."] * 6)
    assert suggest_rules(examples).spelling is None
    assert explain(examples, "spelling") == (
        "Your texts do both: 6 words have British spelling, 6 have American spelling."
    )


def test_too_few_lists_make_no_rule() -> None:
    examples = make_examples("Red, green, and blue.", "Tea.")
    assert suggest_rules(examples).oxford_comma is None
    assert explain(examples, "oxford-comma") == "Your texts have too few such lists to tell (1)."


def test_what_the_prompt_asked_for_is_no_favourite_word() -> None:
    asked = [
        Example(prompt=f"Describe teapot {row}.", completion="A splendid teapot for slow mornings.", row=row)
        for row in range(2, 30)
    ]
    words = suggest_rules(asked).words_we_use
    assert "splendid" in words
    assert "teapot" not in words


def test_a_favourite_word_is_named_in_one_form_only() -> None:
    examples = make_examples(*["A lantern glows."] * 5, *["Two lanterns glow."] * 5)
    assert len([word for word in suggest_rules(examples).words_we_use if word.startswith("lantern")]) == 1


def test_emoji_and_exclamation_marks_are_counted() -> None:
    rules = suggest_rules(make_examples(*["Tea time! ☕ Come in!"] * 20))
    assert (rules.emoji, rules.exclamation_marks_at_most) == ("allowed", 2)


def test_texts_in_another_language_get_no_english_rules() -> None:
    text = (
        "Unsere Tassen halten den Tee in der Küche warm und sie bleiben dabei ganz leicht, schlank und schön."
    )
    rules = suggest_rules(make_examples(*[text] * 20))
    assert (rules.spelling, rules.reading_grade_at_most) == (None, None)


def test_no_examples_suggest_nothing() -> None:
    assert suggest_rules([]) == BrandRules()
    assert explain_suggestions([], BrandRules()) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.text(min_size=1, max_size=120)), max_size=12))
def test_any_examples_give_valid_rules_and_whole_sentences(pairs: list[tuple[str, str]]) -> None:
    examples = [Example(prompt=prompt, completion=text) for prompt, text in pairs]
    for reason in explain_suggestions(examples, suggest_rules(examples)):
        assert re.fullmatch(r"[A-Z0-9].*\.", reason.text, re.DOTALL)
