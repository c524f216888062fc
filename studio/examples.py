"""From a table to examples: which rows can be used, and which of them are held out for validation.

The text of a cell is kept to the last space; a cell of nothing but whitespace counts as empty. What a person
should know about the rows is said in findings (`findings.py`). Does not know files, tokens or models.
"""

import hashlib
from collections.abc import Sequence

from engine.contract.records import (
    MAX_COMPLETION_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    Columns,
    Example,
    Finding,
)
from studio.columns import VOICE_PROMPT
from studio.findings import check_examples, find_dropped, sort_findings
from studio.table import Table

_HELD_OUT_SHARE = 0.1
# Fewer held-out examples say nothing reliable; with under 15 examples, a fifth is all that can be spared.
_HELD_OUT_AT_LEAST = 3
_SPARED_AT_MOST = 5


def build_examples(table: Table, columns: Columns) -> tuple[list[Example], list[Finding]]:
    """The usable examples, split, in the table's order, and all findings about the table, the worst first."""
    prompts = [VOICE_PROMPT] * len(table.rows) if columns.prompt is None else table.column(columns.prompt)
    examples: list[Example] = []
    seen: set[tuple[str, str]] = set()
    dropped: dict[str, list[int]] = {}
    for row, prompt, completion in zip(table.rows, prompts, table.column(columns.completion), strict=True):
        reason = _find_reason_to_drop(prompt, completion, seen)
        if reason is not None:
            dropped.setdefault(reason, []).append(row.number)
            continue
        seen.add((prompt.strip(), completion.strip()))
        examples.append(Example(prompt=prompt, completion=completion, row=row.number, turns=list(row.turns)))
    findings = [*table.findings, *find_dropped(dropped), *check_examples(examples)]
    return assign_split(examples), sort_findings(findings)


def assign_split(examples: Sequence[Example]) -> list[Example]:
    """Hold out about a tenth for validation, by a hash of each completion.

    Rows can be added, removed or sorted: an example stays on its side, whatever stands around it, and
    equal completions always stand on the same one, so that nothing held out was also learnt. Where the hash
    holds out too few, those next in its order are added; only these may return to training later.
    """
    places = [_place(example.completion) for example in examples]
    order = sorted(set(places))
    wanted = min(_HELD_OUT_AT_LEAST, len(order) // _SPARED_AT_MOST)
    by_hash = sum(place < _HELD_OUT_SHARE for place in order)
    held_out = set(order[: min(max(by_hash, wanted), len(order) - 1)])
    return [
        example.model_copy(update={"split": "validation" if place in held_out else "train"})
        for example, place in zip(examples, places, strict=True)
    ]


def _place(completion: str) -> float:
    """Where a completion stands between 0 and 1: its hash, blind to case and spacing."""
    normalised = " ".join(completion.casefold().split())
    return int.from_bytes(hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).digest()[:7]) / 2**56


def _find_reason_to_drop(prompt: str, completion: str, seen: set[tuple[str, str]]) -> str | None:
    """The kind of the finding under which a row is left out, or None if it makes an example."""
    if not completion.strip():
        # A row that is empty in both is a blank line of the table, nothing anyone forgot.
        return "blank" if not prompt.strip() else "empty-completion"
    if not prompt.strip():
        return "empty-prompt"
    if len(prompt) > MAX_PROMPT_CHARACTERS or len(completion) > MAX_COMPLETION_CHARACTERS:
        return "too-long"
    return "duplicate" if (prompt.strip(), completion.strip()) in seen else None
