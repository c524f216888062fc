"""Which new rows begin alike, so that what they share is read once; and how many prompts fit one pass.

Knows token ids. Does not know models or caches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.answer_batch import Row

SHORTEST_SAVING = 64
"""Tokens. A pass of its own for the common beginning costs about as much as reading so many again."""
PASS_TOKENS = 4_096
"""Padding included: bounds what a pass over long prompts takes of memory."""


@dataclass(frozen=True)
class Family:
    """Rows that are read together; the first `shared` tokens of each prompt are the same."""

    rows: list[Row]
    shared: int = 0


def find_families(rows: Sequence[Row], may_share: bool) -> list[Family]:
    """All rows, each in one family. Rows without a beginning worth sharing are read as they are."""
    ordered = sorted(rows, key=lambda row: (row.side, row.decoding.prompt_ids))
    groups = list(_groups(ordered)) if may_share else []
    sharing = [group for group in groups if group.shared * (len(group.rows) - 1) >= SHORTEST_SAVING]
    taken = {row for family in sharing for row in family.rows}
    others = Family([row for row in ordered if row not in taken])
    return [part for family in (*sharing, others) for part in _split(family)]


def _groups(ordered: Sequence[Row]) -> Iterator[Family]:
    """Neighbours that begin alike. A row that would halve what a group shares begins another."""
    group: list[Row] = []
    shared = 0
    for row in ordered:
        if group and row.side == group[0].side:
            common = _common(group[0].decoding.prompt_ids[:shared], row.decoding.prompt_ids)
            if common > 0 and (len(group) == 1 or 2 * common > shared):
                group, shared = [*group, row], common
                continue
        if group:
            yield Family(group, shared)
        # At least one token of each prompt is left to be read: its logits choose the answer's first.
        group, shared = [row], len(row.decoding.prompt_ids) - 1
    if group:
        yield Family(group, shared)


def _common(beginning: Sequence[int], ids: Sequence[int]) -> int:
    most = min(len(beginning), len(ids) - 1)
    return next((place for place in range(most) if beginning[place] != ids[place]), most)


def _split(family: Family) -> Iterator[Family]:
    """Parts of at most `PASS_TOKENS`, prompts of like length together."""
    part: list[Row] = []
    for row in sorted(family.rows, key=lambda row: len(row.decoding.prompt_ids)):
        longest = len(row.decoding.prompt_ids) - family.shared
        if part and (len(part) + 1) * longest > PASS_TOKENS:
            yield Family(part, family.shared)
            part = []
        part.append(row)
    if part:
        yield Family(part, family.shared)
