"""Texts that somebody else wrote stand out, with a reason that can be seen in them."""

import csv
from pathlib import Path

import pytest

from engine.contract.records import Example
from studio.off_voice import OffVoice, rank_off_voice

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
with SAMPLE.open(encoding="utf-8-sig", newline="") as sample:
    VOICE = [row["Text"] for row in csv.DictReader(sample)]
LEGALESE = (
    "Notwithstanding anything to the contrary herein, the undersigned licensee hereby irrevocably "
    "acknowledges, pursuant to clause fourteen, that liability for consequential damages howsoever arising "
    "shall be excluded to the fullest extent permissible under applicable jurisdiction; furthermore, "
    "indemnification remains due."
)
CHATTER = "OMG!!! yesss… so me, idk, LITERALLY CRYING rn lol; ngl its giving campfire vibes!!!"
SARDONIC = (
    "A contrivance for the timid, whereby the wind is admitted at the neck and the coin withdrawn at the "
    "purse; a thing which, being praised by all, is wanted by none of them."
)


def rank(texts: list[str]) -> list[OffVoice]:
    return rank_off_voice(
        [Example(prompt="ask", completion=text, row=row) for row, text in enumerate(texts, start=2)]
    )


@pytest.mark.parametrize("stranger", [LEGALESE, CHATTER, SARDONIC])
def test_a_stranger_is_ranked_first(stranger: str) -> None:
    ranked = rank([*VOICE[:90], stranger, *VOICE[90:]])
    assert ranked[0].row == 92
    assert ranked[0].reasons


def test_hardly_any_text_of_one_voice_is_called_strange() -> None:
    assert len(rank(VOICE)) <= 0.03 * len(VOICE)


@pytest.mark.parametrize(
    ("stranger", "reason"),
    [
        (LEGALESE, "sentences three times as long as usual"),
        (CHATTER, "words in capitals, which you hardly ever use"),
        (SARDONIC, "semicolons, which you hardly ever use"),
    ],
)
def test_the_reason_can_be_seen_in_the_text(stranger: str, reason: str) -> None:
    assert reason in rank([*VOICE, stranger])[0].reasons


def test_a_missing_habit_is_a_reason() -> None:
    cheerful = [f"{text} Off you go!" for text in VOICE]
    strange = rank([*cheerful, SARDONIC])[0]
    assert "without exclamation marks, where you nearly always have that" in strange.reasons


def test_too_few_examples_say_nothing_about_a_voice() -> None:
    assert rank([*VOICE[:28], LEGALESE]) == []


def test_the_order_of_the_table_changes_no_score() -> None:
    texts = [*VOICE, LEGALESE, SARDONIC]
    forward = {texts[one.row - 2]: one.score for one in rank(texts)}
    backward = {texts[::-1][one.row - 2]: one.score for one in rank(texts[::-1])}
    assert forward == pytest.approx(backward)
