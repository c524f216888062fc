"""Text of a person or a model: whatever is in it, it stays text."""

from hypothesis import given
from hypothesis import strategies as st

from studio.ui.text import clean, escape, isolate, shorten

MEANINGFUL = set("\\`*_{}[]()#+-.!|~<>$:&@^=/")


@given(st.text())
def test_no_control_character_and_no_turn_of_direction_passes(text):
    cleaned = clean(text)
    assert not any(ord(mark) < 32 and mark not in "\n\t" for mark in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text())
def test_every_mark_that_could_mean_something_is_taken_literally(text):
    escaped = escape(text)
    marks = [index for index, mark in enumerate(escaped) if mark in MEANINGFUL]
    literal = escaped.replace("\\\\", "  ")
    assert all(literal[index] in " \\" or literal[index - 1] == "\\" for index in marks if index)
    assert "\n" not in escaped


def test_ordinary_text_is_unchanged():
    text = "Warm ears,\n\tclear head — für 12 € “heute”. שלום"
    assert clean(text) == text
    assert isolate(text)[1:-1] == text


def test_a_long_prompt_is_cut_at_a_word():
    assert shorten("one two three four", 9) == "one two …"
    assert shorten("short") == "short"


def test_an_address_in_a_text_is_no_link_to_click():
    joiner = "\N{WORD JOINER}"
    assert f"@{joiner}example" in escape("write to anna@example.com").replace("\\", "")
    assert f"www.{joiner}shop" in escape("www.shop.example").replace("\\", "")
    assert f":{joiner}//shop" in escape("https://shop.example").replace("\\", "")
