"""Where the tokens of a batch stand: as rows one below another for the products, padded for attention alone.

What all texts begin with (virtual tokens, a common instruction) stands there once, since a causal model makes
the same of it in every text. Rows at the end belong to no text: what they hold means nothing and gets no
gradient; whatever is padding elsewhere is read from the last of them. Knows lengths and counts of heads. Does
not know what is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.batches import LENGTH_MULTIPLE, round_up


class Layout:
    """The rows of one batch: what is shared, then the rest of each text, then at least one of no text."""

    def __init__(self, lengths: Sequence[int], shared: int, multiple: int, virtual: int = 0) -> None:
        """`lengths` of the texts, each with the `shared` tokens; `virtual` ones stand before each besides.

        The rows come to a multiple of `multiple`.
        """
        self.virtual, self.multiple = virtual, multiple
        self.shared = shared = virtual + shared
        lengths = [virtual + length for length in lengths]
        self.texts, self.positions = len(lengths), round_up(max(lengths), LENGTH_MULTIPLE)
        self.tokens = shared + sum(length - shared for length in lengths)
        self.rows = round_up(self.tokens + 1, multiple)
        self.row_at = torch.full((self.texts, self.positions), self.rows - 1)
        """(texts, positions): the row of each."""
        self.row_at[:, :shared] = torch.arange(shared)
        self.text_of, self.position_of = torch.zeros(2, self.rows, dtype=torch.long)
        """(rows): the text and the place in it; of what is shared the first text's."""
        self.position_of[:shared] = torch.arange(shared)
        start = shared
        for text, length in enumerate(lengths):
            rows = slice(start, start + length - shared)
            self.row_at[text, shared:length] = torch.arange(rows.start, rows.stop)
            self.text_of[rows] = text
            self.position_of[rows] = torch.arange(shared, length)
            start = rows.stop

    def choose(self, texts: Tensor, positions: Tensor) -> Tensor:
        """The rows of these tokens, and behind them as many of no text as make a multiple."""
        rows = self.row_at[texts, positions]
        filling = round_up(len(rows) + 1, self.multiple) - len(rows)
        return torch.cat([rows, rows.new_full((filling,), self.rows - 1)])


@dataclass(frozen=True)
class Heads:
    """How many lie side by side in a row: those of queries, of keys, of values."""

    queries: int
    keys: int

    @property
    def turning(self) -> int:
        """Those that are turned by their position: of queries and keys."""
        return self.queries + self.keys

    @property
    def all(self) -> int:
        return self.queries + 2 * self.keys


class HeadIndex:
    """What attention reads for every head: indices into heads that stand one below another.

    Heads of rows stand as (rows, heads), those of padded texts as (texts, heads, positions of a block).
    """

    def __init__(self, layout: Layout, heads: Heads, blocks: Sequence[slice], wanted: Tensor | None) -> None:
        """Padded queries stand block by block of their positions.

        `wanted`: the rows whose outcome anyone reads, as `Layout.choose` gives them; None for all.
        """
        every, whole = torch.arange(layout.rows), [slice(0, layout.positions)]
        wanted = every if wanted is None else wanted
        self.queries = _from_rows(layout.row_at, heads.all, 0, heads.queries, blocks)
        self.keys = _from_rows(layout.row_at, heads.all, heads.queries, heads.keys, whole)
        self.values = _from_rows(layout.row_at, heads.all, heads.turning, heads.keys, whole)
        self.outcome = _from_texts(layout, wanted, heads.queries, blocks).flatten()
        """From padded queries to the wanted rows."""

        # Nothing comes back to a token that is not wanted, and to a shared one it comes in the first text.
        seen = wanted[wanted < layout.tokens]
        seen_at = torch.full_like(layout.row_at, len(wanted) - 1)
        seen_at[layout.text_of[seen], layout.position_of[seen]] = torch.arange(len(seen))
        self.outcome_back = _from_rows(seen_at, heads.queries, 0, heads.queries, blocks)
        """From the wanted rows to padded queries."""

        padded = layout.texts * layout.positions
        self.joint_back = torch.cat(
            [
                _from_texts(layout, every, heads.queries, blocks),
                _from_texts(layout, every, heads.keys, whole) + padded * heads.queries,
                _from_texts(layout, every, heads.keys, whole) + padded * heads.turning,
            ],
            dim=1,
        )
        """(rows, heads): from padded queries, keys and values, one below another, to all rows."""


def _from_rows(row_at: Tensor, width: int, first: int, count: int, blocks: Sequence[slice]) -> Tensor:
    """Of `count` heads from `first` on, where a row has `width` of them: by block, text, head, position."""
    heads = first + torch.arange(count)[:, None]
    return torch.cat([(row_at[:, None, block] * width + heads).flatten() for block in blocks])


def _from_texts(layout: Layout, rows: Tensor, count: int, blocks: Sequence[slice]) -> Tensor:
    """(rows, heads), where a padded text has `count` heads, which stand block by block."""
    start, length = torch.empty(2, layout.positions, dtype=torch.long)
    for block in blocks:
        start[block], length[block] = block.start, block.stop - block.start
    position = layout.position_of[rows, None]
    start, length = start[position], length[position]
    head = layout.text_of[rows, None] * count + torch.arange(count)
    index: Tensor = layout.texts * count * start + head * length + position - start
    return index
