"""How a text begins and ends is named as a reader would name it."""

import pytest

from studio.openings import kind_of_closing, kind_of_opening
from studio.sentences import split_text


def opening(text: str) -> str:
    split = split_text(text)
    return kind_of_opening(split.sentences[0], split.words[0])


def closing(text: str) -> str:
    split = split_text(text)
    return kind_of_closing(split.sentences[-1], split.words[-1])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Stay dry on the trail.", "command"),
        ("Never miss a beat again.", "command"),
        ("Please call us any time.", "command"),
        ("Safely drink from any stream.", "command"),
        ("Zhuzh up your room.", "statement"),
        ("Zhuzh your room.", "command"),
        ("Don't wait for spring.", "command"),
        ("Love is in the details.", "statement"),
        ("Experience has taught us well.", "statement"),
        ("With the sun comes warmth.", "statement"),
        ("Whether you ride or run, it fits.", "statement"),
        ("Tired of cold feet?", "question"),
        ("You deserve a break.", "you"),
        ("Your morning starts here.", "you"),
        ("You'll never guess.", "you"),
        ("We bake at four in the morning.", "we"),
        ("The WeatherGuard Pro keeps gadgets dry.", "name"),
        ("Meet Luna Lamp, our newest light.", "command"),
        ("Dear Anna, thank you for writing.", "greeting"),
        ("Hi there!", "greeting"),
        ("Lightweight and sturdy poles.", "statement"),
        ("I have sent Anna a new one.", "statement"),
    ],
)
def test_the_beginning_is_named(text: str, kind: str) -> None:
    assert opening(text) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It is warm. Get yours today.", "command"),
        ("It is warm. What are you waiting for?", "question"),
        ("It is warm. So warm!", "exclamation"),
        ("We are sorry. Warm regards, Anna", "sign-off"),
        ("We are sorry. The Fernway Team", "sign-off"),
        ("It is warm. It is light.", "statement"),
    ],
)
def test_the_end_is_named(text: str, kind: str) -> None:
    assert closing(text) == kind
