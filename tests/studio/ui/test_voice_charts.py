"""The pictures of a voice show what was counted, in the theme's colours, and can be heard."""

from collections.abc import Callable

import pytest

from studio.ui.voice_charts import (
    VoiceChart,
    draw_favourites,
    draw_habits,
    draw_sentence_lengths,
    draw_text_lengths,
)
from studio.voice_profile import VoiceProfile, describe_voice

ENGLISH = describe_voice(
    [
        "Bake slowly! Your sourdough loves a slow morning.",
        "Your sourdough loves patience! Give it a warm corner.",
        "We love sourdough. It asks for flour, water and time!",
    ]
)
EMPTY = describe_voice([])
DRAWN = [draw_sentence_lengths, draw_text_lengths, draw_favourites, draw_habits]


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("profile", [ENGLISH, EMPTY, describe_voice(["軽いテント。", "山へ。", "海へ。"])])
def test_every_chart_has_a_sentence_and_no_colour_of_its_own(
    draw: Callable[[VoiceProfile], VoiceChart], profile: VoiceProfile
) -> None:
    chart = draw(profile)
    assert chart.alt.endswith(".")
    assert all(trace.marker.color is None for trace in chart.figure.data)


def test_the_bars_are_the_counts() -> None:
    bars = draw_sentence_lengths(ENGLISH).figure.data[0]
    assert sum(bars.y) == 6
    assert list(bars.x) == [bar.label for bar in ENGLISH.sentence_lengths]


def test_habits_are_shares_and_what_is_not_there_has_no_bar() -> None:
    bars = draw_habits(ENGLISH).figure.data[0]
    assert dict(zip(bars.y, bars.text, strict=True)) == {
        "“you”": "67\N{NO-BREAK SPACE}%",
        "“we”": "33\N{NO-BREAK SPACE}%",
        "exclamation marks": "100\N{NO-BREAK SPACE}%",
    }
