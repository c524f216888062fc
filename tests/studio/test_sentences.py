"""A brand's text is cut where a reader would cut it, in any script."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.sentences import split_sentences, split_words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Stay dry. Stay warm!", ["Stay dry.", "Stay warm!"]),
        (
            "Meet Dr. Hill at 3.50 a head. Bring J. K. too.",
            ["Meet Dr. Hill at 3.50 a head.", "Bring J. K. too."],
        ),
        ("“Really?” Yes… of course.", ["“Really?”", "Yes…", "of course."]),
        ("Inside:\n- one tent\n- two poles", ["Inside:", "- one tent", "- two poles"]),
        ("Wir liefern z. B. nach Wien. Gern!", ["Wir liefern z. B. nach Wien.", "Gern!"]),
        ("Call our sales dept. in Leeds, tel. 12.", ["Call our sales dept. in Leeds, tel. 12."]),
        ("Ready?! Go!!! Now", ["Ready?!", "Go!!!", "Now"]),
        ("今日は。元気？はい", ["今日は。", "元気？", "はい"]),
        ("वह आया। वह गया।", ["वह आया।", "वह गया।"]),
        ("no end", ["no end"]),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_pauses(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t wait—it's well-made.", ["Don’t", "wait", "it's", "well-made"]),
        ("2,000 of 3.5 litres, 100%", ["2,000", "of", "3.5", "litres", "100"]),
        ("❤️love it✨", ["love", "it"]),
        ("nai\u0308ve हिन्दी में", ["nai\u0308ve", "हिन्दी", "में"]),
        ("日本へ go", ["日", "本", "へ", "go"]),
        ("--- !!!", []),
    ],
)
def test_words_are_whole_in_any_script(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_no_word_is_lost_between_sentences(text: str) -> None:
    assert [word for sentence in split_sentences(text) for word in split_words(sentence)] == split_words(text)
