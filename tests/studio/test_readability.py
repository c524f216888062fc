"""Syllables are counted as they are spoken, and harder texts get higher grades."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.prose import read_prose
from studio.readability import count_syllables, find_grade

SYLLABLES = {
    1: "a the tent strong makes walked care through knife clothes dreams boots you're we'll planned bridge "
    "weight straight breathe fire cups tea cheese whole toast smooth",
    2: "table backpack boxes needed hiking waiting careful lovely purpose outdoor people water yellow "
    "little rhythm prism minus being highly useful nylon jacket wanted horses science quiet lion poem "
    "morning kettle",
    3: "adventure battery beautiful adventures radio idea banana customer excellent family durable video "
    "area delicious tradition organize religion companion visited remember",
    4: "delivery reliable experience comfortable information aluminum variety necessary material society "
    "education emergency february",
    5: "organization university opportunity communication international imagination",
}


def test_nine_in_ten_words_have_the_syllables_they_are_spoken_with() -> None:
    words = [(word, count) for count, line in SYLLABLES.items() for word in line.split()]
    wrong = [(word, count_syllables(word), count) for word, count in words if count_syllables(word) != count]
    assert len(wrong) <= len(words) / 10, wrong
    spoken = sum(count for _, count in words)
    assert sum(count_syllables(word) for word, _ in words) == pytest.approx(spoken, rel=0.03)


def test_the_grade_is_that_of_the_formula() -> None:
    # 10 words, 2 sentences, 12 syllables: 0.39 * 5 + 11.8 * 1.2 - 15.59.
    grade = find_grade(read_prose("The cat sat on the table. It likes the tea."))
    assert grade == pytest.approx(0.39 * 5 + 11.8 * 1.1 - 15.59)


def test_numbers_have_no_syllables_and_other_languages_no_grade() -> None:
    assert find_grade(read_prose("12 34.")) is None
    assert find_grade(read_prose("Unsere Tassen halten den Tee in der Küche warm.")) is None
    assert find_grade(read_prose("")) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_any_word_has_a_syllable(word: str) -> None:
    assert count_syllables(word.lower()) >= 1
