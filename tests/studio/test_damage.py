"""Broken letters come back as they were, and good ones are never touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.damage import Damage, find_damage, find_lost, mend_damage

DAMAGED = [
    ("You donâ€™t need more.", "You don’t need more."),
    ("A cafÃ© under the stars.", "A café under the stars."),
    ("GrÃ¶ÃŸe zÃ¤hlt.", "Größe zählt."),
    ("â€œHelloâ€\x9d, she said.", "“Hello”, she said."),
    ("Rain or shine â€“ we walk.", "Rain or shine – we walk."),
    ("And soâ€¦", "And so…"),
    ("Only 20 â‚¬ today.", "Only 20 € today."),
    ("Only Â£20 at 20Â°.", "Only £20 at 20°."),
    ("caf√© ‚Äì open", "café – open"),
    ("It‚Äôs time.", "It’s time."),
    ("Twice donÃ¢â‚¬â„¢t.", "Twice don’t."),
    ("Hello ðŸ˜€ you.", "Hello 😀 you."),
    ("naÃ¯ve and dÃ©jÃ  vu", "naïve and déjà vu"),
    ("Bien sÃ»r, Ã§a va.", "Bien sûr, ça va."),
    ("MaÃ±ana, seÃ±or.", "Mañana, señor."),
    ("“Good” and donâ€™t side by side.", "“Good” and don’t side by side."),
]
SOUND = [
    "The café où naïve façades gleam – “voilà”, for 20 € … tonight.",
    "Größe zählt: für Söhne & Töchter, à la carte.",
    "Ça va? ¡Olé! Ærø, łódź and “né—”.",
    "ÉTÉ À LA MER, ÇA VA ÊTRE BEAU.",
    "SÃO PAULO, AMANHÃ",
    "Ω’s price: £5 – 20 °C, ½ off™ ®",
    "星空の下で眠りましょう。風の音。",
    "Привет, как дела?",
    "שלום עולם, مرحبا",
    "👩‍👩‍👧 🇫🇷 👍🏽 all of us",
    "ﬁne ligatures, ｆｕｌｌ width, e\u0301 combined, nbsp\u00a0here, soft\u00adhyphen",
    "“Quotes” ‘stay’ «curly» and l’été too.",
]


@pytest.mark.parametrize(("text", "meant"), DAMAGED)
def test_letters_come_back_as_they_were(text: str, meant: str) -> None:
    assert mend_damage(text) == meant
    assert find_damage(text) is not None


@pytest.mark.parametrize("text", SOUND)
def test_good_letters_are_never_touched(text: str) -> None:
    assert mend_damage(text) == text
    assert find_damage(text) is None


def test_the_damaged_word_is_shown_as_it_was_meant() -> None:
    assert find_damage("First fine,\nthen “donâ€™t”.") == Damage("“donâ€™t”.", "“don’t”.")


def test_lost_letters_are_named_but_never_guessed() -> None:
    text = "Lost let\ufffders again."
    assert find_lost(text) == Damage("let\ufffders", "")
    assert mend_damage(text) == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec="ascii")))
def test_plain_text_comes_back_equal_to_the_last_character(text: str) -> None:
    assert mend_damage(text) == text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["café", "don’t", "–", "naïve", "Größe", "plain", "“so”"]), min_size=1))
def test_what_one_wrong_reading_broke_is_put_right(words: list[str]) -> None:
    text = " ".join(words)
    broken = text.encode().decode("cp1252", errors="ignore")
    if broken.encode("cp1252") == text.encode():
        assert mend_damage(broken) == text
