"""Marks are counted once each, whatever stands around them."""

import pytest

from studio.punctuation_habits import measure_punctuation


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("exclamation marks", "Wow! Wow!! 元気！", 4),
        ("question marks", "Really? ¿Sí? هل؟", 3),
        ("dashes", "one — two – three - four, well-made, 3–5", 3),
        ("ellipses", "wait… wait... wait....", 3),
        ("colons", "Inside: tent. At 10:30", 1),
        ("brackets", "(one) and (two)", 2),
        ("emoji", "👍🏽 👩‍👩‍👧 ❤️ ☕", 4),
        ("emoji", "🎉🎉🎉 🇩🇪🇫🇷 5️⃣ 🏃‍♀️👍🏽", 8),
        ("emoji", "✓ → © ™ ➤ • 日本 ☕", 1),
        ("hashtags", "#spring #2024 a#b #été", 2),
    ],
)
def test_each_mark_is_counted_once(name: str, text: str, count: int) -> None:
    habits = {habit.name: habit for habit in measure_punctuation([text, "None here."], words=100)}
    assert habits[name].per_100_words == pytest.approx(count)
    assert habits[name].share_of_texts == 0.5
