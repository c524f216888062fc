"""Rows of one batch: whose answers they are, what the cache holds of them, and how they join and leave.

The cache has as many columns as the longest row; `mask` says which of them a row really has. Columns that
are nobody's are dropped when rows leave. Knows tensors. Does not know models, tokens or requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import DynamicCache

from engine.answer_batch import Row
from engine.contract.records import Side


@dataclass(frozen=True)
class Batch:
    """Rows in the order of their sides, base before tuned."""

    rows: tuple[Row, ...]
    mask: torch.Tensor
    """(rows, columns) of bool; new columns are appended to it as to the cache."""
    cache: DynamicCache

    @property
    def sides(self) -> list[Side]:
        return [row.side for row in self.rows]


def start_batch(rows: Sequence[Row]) -> Batch:
    """Of rows of which nothing was read yet."""
    ordered = tuple(sorted(rows, key=lambda row: row.side))
    return Batch(ordered, torch.zeros((len(ordered), 0), dtype=torch.bool), DynamicCache())


def join(first: Batch, second: Batch) -> Batch:
    """One batch of both; the shorter one is padded on the left."""
    if not first.rows or not second.rows:
        return first if first.rows else second
    rows = first.rows + second.rows
    order = sorted(range(len(rows)), key=lambda index: rows[index].side)
    width = max(first.mask.shape[1], second.mask.shape[1])

    def stack(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        stacked = torch.cat((_widen(one, width), _widen(other, width)))
        return stacked if order == sorted(order) else stacked[order]

    # A mask is widened as keys are: give it their last dimension.
    mask = stack(first.mask.unsqueeze(-1), second.mask.unsqueeze(-1)).squeeze(-1)
    pairs = zip(first.cache.layers, second.cache.layers, strict=True)
    layers = [(stack(one.keys, two.keys), stack(one.values, two.values)) for one, two in pairs]
    return Batch(tuple(rows[index] for index in order), mask, _cache_of(layers))


def repeat(batch: Batch, rows: Sequence[Row]) -> Batch:
    """What was read of a single row, for each of these rows."""
    batch.cache.batch_repeat_interleave(len(rows))
    return Batch(tuple(rows), batch.mask.expand(len(rows), -1), batch.cache)


def leave_out(batch: Batch, gone: Sequence[Row]) -> Batch:
    """The others, in columns that are still somebody's; the memory of the rest is free."""
    kept = [index for index, row in enumerate(batch.rows) if row not in gone]
    if len(kept) == len(batch.rows):
        return batch
    if not kept:
        return start_batch(())
    mask = batch.mask[kept]
    used = mask.any(dim=0).nonzero().squeeze(-1)
    layers = [
        (layer.keys[kept].index_select(-2, used), layer.values[kept].index_select(-2, used))
        for layer in batch.cache.layers
    ]
    return Batch(tuple(batch.rows[index] for index in kept), mask[:, used], _cache_of(layers))


def _widen(tensor: torch.Tensor, width: int) -> torch.Tensor:
    """More columns on the left of the last but one dimension."""
    return pad(tensor, (0, 0, width - tensor.shape[-2], 0))


def _cache_of(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> DynamicCache:
    cache = DynamicCache()
    for index, (keys, values) in enumerate(layers):
        cache.update(keys, values, index)
    return cache
