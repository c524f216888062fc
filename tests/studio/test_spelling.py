"""British and American words are told apart, and words that only look like either are left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.spelling import PAIRS as BUILT_PAIRS
from studio.spelling import find_both_spellings, find_other_spelling

PAIRS = """
colour color|colours colors|colourful colorful|favourite favorite|flavours flavors|honourable honorable
neighbourhood neighborhood|behaviour behavior|centre center|centred centered|centrepiece centerpiece
theatre theater|fibre fiber|litres liters|kilometres kilometers|organise organize
organisation organization|realised realized|recognising recognizing|moisturiser moisturizer
personalised personalized|customise customize|analyse analyze|catalogue catalog|travelled traveled
travelling traveling|cancelled canceled|labelling labeling|jewellery jewelry|grey gray
aluminium aluminum|cosy cozy|defence defense|fulfil fulfill|skilful skillful|pyjamas pajamas|mould mold
marvellous marvelous|pressurisation pressurization|manoeuvre maneuver|jewelled jeweled
"""
NEITHER = """
size prize seize capsize resize oversized bite-sized prized seizing advertise exercise surprise promise
franchise compromise supervise televise improvise improvisation revise wise rise premise enterprise
merchandise expertise hour four pour tour contour devour sour flour our your court course rouse acre
massacre genre cadre controlled propelled excelled compelling rebellion enrolled fulfilled excellent
color-blind dialogue league tongue vague humorous vigorous laborious honorary glamorous humorist meter
parking program check tire story draft practice license curb maize assize gauze citizen horizon denizen
bizarre breeze freeze glaze
"""


@pytest.mark.parametrize("pair", PAIRS.replace("\n", "|").strip("|").split("|"))
def test_each_side_is_turned_into_the_other(pair: str) -> None:
    british, american = pair.split()
    assert find_other_spelling(british, "american") == american
    assert find_other_spelling(american, "british") == british
    assert find_other_spelling(british, "british") is None
    assert find_other_spelling(american, "american") is None


@pytest.mark.parametrize("word", NEITHER.split())
def test_a_word_of_both_sides_is_no_error_in_british(word: str) -> None:
    assert find_other_spelling(word, "british") is None


@pytest.mark.parametrize("word", [word for word in NEITHER.split() if word != "merchandise"])
def test_a_word_of_both_sides_is_no_error_in_american(word: str) -> None:
    assert find_other_spelling(word, "american") is None


@pytest.mark.parametrize(
    ("british", "american"),
    [("tyre", "tire"), ("cheque", "check"), ("programme", "program"), ("metre", "meter")],
)
def test_what_is_another_word_in_britain_is_corrected_one_way_only(british: str, american: str) -> None:
    assert find_other_spelling(british, "american") == american
    assert find_other_spelling(american, "british") is None


@pytest.mark.parametrize(
    ("word", "other"),
    [("Color", "Colour"), ("COLOR", "COLOUR"), ("color", "colour"), ("Organize", "Organise")],
)
def test_the_other_spelling_is_written_as_the_word_was(word: str, other: str) -> None:
    assert find_other_spelling(word, "british") == other


def test_an_unlisted_ize_is_american_by_its_ending() -> None:
    assert find_other_spelling("caravanized", "british") == "caravanised"


def test_there_are_more_than_enough_pairs_and_none_is_its_own_twin() -> None:
    assert len(BUILT_PAIRS) > 1_000
    assert all(british != american for british, american in BUILT_PAIRS.items())
    assert all(find_other_spelling(word, "american") == other for word, other in BUILT_PAIRS.items())


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_any_word_has_itself_among_its_spellings(word: str) -> None:
    assert word in find_both_spellings(word)
