"""Frozen examples: the same bytes today as when they were frozen, and every turn of a conversation back."""

from pathlib import Path

from engine.contract.records import Example, Turn
from engine.dataset import fingerprint_of, read_examples, render_examples, save_examples

ROWS = [
    Example(prompt="Describe a tent.", completion="Sleep under the stars.\r\n\u2028“£9”", row=2),
    Example(prompt="", completion="Grab your boots.", row=3, split="validation"),
]
# Of the lines as they were written before an example could have earlier turns.
FINGERPRINT = "33a4a1711c41a710b4c3aea2c7d22483639b6c7284bbcd810dbc574212c17dd7"


def test_a_dataset_frozen_long_ago_keeps_its_fingerprint() -> None:
    assert fingerprint_of(render_examples(ROWS)) == FINGERPRINT


def test_a_line_written_before_there_were_turns_is_still_read() -> None:
    line = '{"prompt":"Hi","completion":"Ahoy.","row":2,"split":"train"}'
    assert Example.model_validate_json(line) == Example(prompt="Hi", completion="Ahoy.", row=2)


def test_every_turn_comes_back_as_it_was_and_counts_for_the_fingerprint(tmp_path: Path) -> None:
    turns = (Turn(role="system", text="Be brief.\r\n"), Turn(role="user", text="e\u0301 \u2028 <|end|>"))
    rows = [ROWS[0].model_copy(update={"turns": turns}), ROWS[1]]
    lines = render_examples(rows)
    save_examples(tmp_path / "rows.jsonl", lines)
    assert read_examples(tmp_path / "rows.jsonl") == rows
    assert fingerprint_of(lines) != FINGERPRINT
