"""The list of plain English holds ordinary words and no names."""

import json
import lzma
from pathlib import Path

from studio.plain_english import _REGISTERS, count_shares, find_share, is_ordinary, load_shares


def test_common_words_are_commoner_than_rare_ones() -> None:
    assert next(iter(load_shares())) == "the"
    assert find_share("the") > find_share("water") > find_share("zephyr") > 0


def test_ordinary_words_are_known_in_their_forms_and_names_are_not() -> None:
    assert all(map(is_ordinary, ["water", "walks", "walked", "making", "carried", "quickly", "don't"]))
    assert not any(map(is_ordinary, ["vibram", "oslo", "kestrel", "thornbury", "english", "monday"]))


def test_shares_are_halved_between_the_registers_and_names_are_left_out(tmp_path: Path) -> None:
    for shard, sources in _REGISTERS.items():
        record = {"text": "So the cup. Then the cup and Oslo and Oslo.", "src": sources[0]}
        other = {"text": "not counted at all", "src": "other"}
        with lzma.open(tmp_path / f"{shard}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.write("\n".join(map(json.dumps, [record, other])))
    shares = count_shares(tmp_path)
    assert shares == {"the": 250_000, "cup": 250_000, "and": 250_000}
