"""The list of plain English holds ordinary words and no names."""

import json
import lzma
from collections import Counter
from pathlib import Path

import pytest

from studio.plain_english import (
    REGISTERS,
    count_shares,
    find_share,
    is_english,
    is_ordinary,
    load_shares,
    plain_share,
)
from studio.sentences import normalise_word, split_words


def test_common_words_are_commoner_than_rare_ones() -> None:
    assert next(iter(load_shares())) == "the"
    assert find_share("the") > find_share("water") > find_share("zephyr") > 0


def test_ordinary_words_are_known_in_their_forms_and_names_are_not() -> None:
    assert all(map(is_ordinary, ["water", "walks", "walked", "making", "carried", "quickly", "don't"]))
    assert not any(map(is_ordinary, ["vibram", "oslo", "kestrel", "thornbury", "english", "monday"]))


def test_shares_are_halved_between_the_registers_and_names_are_left_out(tmp_path: Path) -> None:
    for shard, sources in REGISTERS.items():
        record = {"text": "So the cup. Then the cup and Oslo and Oslo.", "src": sources[0]}
        other = {"text": "not counted at all", "src": "other"}
        with lzma.open(tmp_path / f"{shard}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.write("\n".join(map(json.dumps, [record, other])))
    shares = count_shares(tmp_path)
    assert shares == {"the": 250_000, "cup": 250_000, "and": 250_000}


def counts(text: str) -> Counter[str]:
    return Counter(normalise_word(word) for word in split_words(text))


def test_english_is_known_as_english() -> None:
    assert is_english(counts("Stay dry on the trail: this jacket keeps the rain out and lets you breathe."))


@pytest.mark.parametrize(
    "text",
    [
        "Bleib trocken auf jedem Weg: Diese Jacke hält den Regen ab und lässt dich atmen, auch am Berg.",
        "Restez au sec sur tous les chemins : cette veste vous protège de la pluie et vous laisse respirer.",
        "Mantente seco en cada camino: esta chaqueta te protege de la lluvia y te deja respirar a gusto.",
        "Blijf droog op elk pad: deze jas houdt de regen buiten en laat je ademen, in de stad en de bergen.",
        "雨の日も乾いたまま。このジャケットは軽くて丈夫です。",
    ],
)
def test_another_language_is_not_taken_for_english(text: str) -> None:
    assert not is_english(counts(text))


def test_the_share_counts_running_words_and_no_numbers() -> None:
    assert plain_share({"the": 3, "zephyr": 1, "2024": 5}) == 0.75
    assert plain_share({}) == 0.0
