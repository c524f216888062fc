"""Words and sentences are found where a reader finds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.prose import read_prose


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", 3),
        ("Mr. Bean has 2.5 cups, e.g. of tea.", 1),
        ("A line\nanother line", 2),
        ("Wait… What?", 2),
        ("He said: “Yes.” Then he left.", 2),
        ("No end", 1),
        ("お茶です。どうぞ。", 1),
        ("", 0),
        ("…!", 0),
    ],
)
def test_sentences_end_at_marks_and_not_at_abbreviations(text: str, sentences: int) -> None:
    assert read_prose(text).sentences == sentences


def test_words_keep_their_apostrophes_and_lose_their_hyphens() -> None:
    words = read_prose("It’s a must-have, isn't it?").words
    assert [word.lower for word in words] == ["it's", "a", "must", "have", "isn't", "it"]


@pytest.mark.parametrize(
    ("text", "is_english"),
    [
        ("The cup is on the table and it is yours.", True),
        ("Notwithstanding organisational complexity, manufacturers prioritise infrastructure.", True),
        ("Sturdy. Light. Yours.", True),
        ("Our café in São Paulo serves tea to all of you on Sundays.", True),
        ("Unsere Tassen halten den Tee in der Küche warm.", False),
        ("Nos tasses gardent le thé au chaud dans la cuisine.", False),
        ("Nuestras tazas mantienen el té caliente en la cocina.", False),
        ("Le nostre tazze sono fatte a mano e per la vita.", False),
        ("Наши кружки держат тепло.", False),
        ("お茶の時間です", False),
    ],
)
def test_english_is_told_from_other_languages(text: str, is_english: bool) -> None:
    assert read_prose(text).is_english is is_english


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_every_word_stands_where_it_says(text: str) -> None:
    prose = read_prose(text)
    assert all(text[word.start : word.end] == word.text for word in prose.words)
    assert prose.sentences <= len(prose.words)
