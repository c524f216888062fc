"""A forbidden word is found in all its forms, and no other word is taken for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.inflections import build_forms
from studio.prose import read_prose
from studio.word_lists import build_word_list, find_listed


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("utilise", "utilise utilises utilised utilising utilise's"),
        ("leverage", "leverages leveraged leveraging"),
        ("solution", "solutions"),
        ("solutions", "solution"),
        ("cheap", "cheaper cheapest"),
        ("happy", "happier happiest"),
        ("big", "bigger biggest"),
        ("stop", "stops stopped stopping"),
        ("travel", "travels travelled travelling"),
        ("try", "tries tried trying"),
        ("enjoy", "enjoys enjoyed enjoying"),
        ("box", "boxes boxed boxing"),
        ("buy", "buys bought buying"),
        ("bought", "buy buys"),
        ("good", "better best"),
        ("child", "children"),
        ("amazing", "amaze amazes amazed"),
        ("agree", "agrees agreed agreeing"),
        ("stopped", "stop stopping"),
        ("cities", "city"),
        ("synergy", "synergies"),
    ],
)
def test_all_forms_of_a_word_are_known(word: str, forms: str) -> None:
    assert set(forms.split()) <= build_forms(word)


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("organ", "organise organisation organic"),
        ("general", "generate generally"),
        ("numb", "number"),
        ("off", "offer"),
        ("news", "new newer"),
        ("car", "care cared caring"),
        ("caring", "car cars"),
        ("art", "start arts-and-crafts party"),
        ("pass", "pas"),
        ("product", "production productive"),
        ("string", "str"),
        ("thing", "th"),
        ("plan", "plane planed planing"),
        ("bus", "bu"),
    ],
)
def test_no_other_word_is_taken_for_a_form(word: str, others: str) -> None:
    assert not set(others.split()) & build_forms(word)


@pytest.mark.parametrize(
    ("listed", "text", "found"),
    [
        ("art", "Start with art.", ["art"]),
        ("must have", "A must-have. You must  have it.", ["must-have", "must  have"]),
        ("must-have", "A must have. Many must-haves!", ["must have", "must-haves"]),
        ("state of the art", "State-of-the-art. The state. Of the art.", ["State-of-the-art"]),
        ("Utilize", "utilising and UTILIZED", ["utilising", "UTILIZED"]),
        ("don't", "Don’t do it, don't.", ["Don’t", "don't"]),
        ("™", "Tea™ and Mug™", ["™", "™"]),
        ("café", "Café, cafés", ["Café", "cafés"]),
        ("ready to go", "She is ready to", []),
        ("best", "the best, in good time", ["best", "good"]),
    ],
)
def test_a_list_is_found_as_whole_words_across_spaces_and_hyphens(
    listed: str, text: str, found: list[str]
) -> None:
    hits = find_listed(read_prose(text), build_word_list([listed]))
    assert [text[hit.start : hit.end] for hit in hits] == found


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_every_word_is_a_form_of_itself(word: str) -> None:
    assert word in build_forms(word)
