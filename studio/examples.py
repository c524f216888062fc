"""From a table to examples: which rows can be used, and why others cannot.

The text of a cell is kept to the last space; a cell of nothing but whitespace counts as empty. What is odd
about examples, and which are held out, comes after (`checkup.py`). Does not know files, tokens or models.
"""

from collections.abc import Sequence

from engine.contract.records import (
    MAX_COMPLETION_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    Columns,
    Example,
    Finding,
    Turn,
)
from studio.columns import VOICE_PROMPT
from studio.findings import find_dropped
from studio.prompt_template import render_prompts
from studio.table import Table

_Content = tuple[tuple[Turn, ...], str, str]


def build_examples(table: Table, columns: Columns) -> tuple[list[Example], list[Finding]]:
    """The usable examples in the table's order, and what was found on the way to them."""
    prompts = read_prompts(table, columns)
    examples: list[Example] = []
    seen: set[_Content] = set()
    dropped: dict[str, list[int]] = {}
    for row, prompt, completion in zip(table.rows, prompts, table.column(columns.completion), strict=True):
        content = (row.turns, prompt.strip(), completion.strip())
        reason = _find_reason_to_drop(row.turns, prompt, completion) or (
            "duplicate" if content in seen else None
        )
        if reason is not None:
            dropped.setdefault(reason, []).append(row.number)
            continue
        seen.add(content)
        examples.append(Example(prompt=prompt, completion=completion, row=row.number, turns=row.turns))
    return examples, [*table.findings, *find_dropped(dropped)]


def read_prompts(table: Table, columns: Columns) -> list[str]:
    """What each row asks: a template wins over a column; without either, all ask for the voice."""
    if columns.template is not None:
        return render_prompts(table, columns.template)
    return [VOICE_PROMPT] * len(table.rows) if columns.prompt is None else table.column(columns.prompt)


def _find_reason_to_drop(turns: Sequence[Turn], prompt: str, completion: str) -> str | None:
    """The kind of the finding under which a row is left out, or None if it makes an example."""
    if not completion.strip():
        # A row that is empty in both is a blank line of the table, nothing anyone forgot.
        return "blank" if not prompt.strip() else "empty-completion"
    if not prompt.strip():
        return "empty-prompt"
    if len(prompt) > MAX_PROMPT_CHARACTERS or len(completion) > MAX_COMPLETION_CHARACTERS:
        return "too-long"
    said = len(prompt) + sum(len(turn.text) for turn in turns)
    return "long-conversation" if said > MAX_PROMPT_CHARACTERS else None
