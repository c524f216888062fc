"""Lists of three are told from other commas, emoji from other signs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.punctuation import find_emoji, find_exclamations, find_lists


@pytest.mark.parametrize(
    ("text", "commas"),
    [
        ("Red, green, and blue.", [True]),
        ("Red, green and blue.", [False]),
        ("Red, green, blue, or white cups.", [True]),
        ("Red, green, blue or white cups.", [False]),
        ("We sell hiking, camping and climbing gear.", []),
        ("For road cycling, mountain biking, and everything in between.", [True]),
        ("In midnight blue, this bag has pockets, straps, and a belt.", [True]),
        ("Red, green, and blue. Tea, milk and sugar.", [True, False]),
        ("When it rains, you and I stay in.", []),
        ("In winter, tea and cake.", []),
        ("We have tents, and boots.", []),
        ("It is big, and it is yours.", []),
        ("The bag, which is big, and the cup", []),
        ("Boots, including shoes and socks.", []),
        ("Confirm your order, and you're done!", []),
        ("Bread and butter, salt and pepper.", []),
        ("Tea and coffee.", []),
        ("", []),
    ],
)
def test_the_last_comma_of_a_list_is_found_or_missed(text: str, commas: list[bool]) -> None:
    assert [has_comma for _, has_comma in find_lists(text)] == commas


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ("Tea ☕ time", ["☕"]),
        ("I ❤️ tea", ["❤️"]),
        ("Family 👨‍👩‍👧 and 👍🏽!", ["👨‍👩‍👧", "👍🏽"]),
        ("Go 🇩🇪", ["🇩🇪"]),
        ("Press 5️⃣", ["5️⃣"]),
        ("🎉🎉🎉", ["🎉🎉🎉"]),
        ("© ® ™ ✓ → • — … § 20° № ½", []),
        ("日本語 العربية", []),
        ("5 * 3 # 2", []),
    ],
)
def test_emoji_are_told_from_other_signs(text: str, emoji: list[str]) -> None:
    assert [text[start:end] for start, end in find_emoji(text)] == emoji


def test_each_exclamation_mark_counts() -> None:
    assert find_exclamations("Wow!! ¡Olé! 完！") == [(3, 4), (4, 5), (10, 11), (13, 14)]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab ,.and or!😀", max_size=80))
def test_places_lie_inside_the_text(text: str) -> None:
    spans = [*find_emoji(text), *find_exclamations(text), *(span for span, _ in find_lists(text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
