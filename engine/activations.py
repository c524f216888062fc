"""What the frozen layers make of each text, computed once: later passes begin where something learns.

Kept in bf16, in memory or, when it is much, in a file without a name that is gone with the process. A text's
activations are always computed together with the same others, those of its first batch: what a run that was
resumed computes again comes out with the same bits. Knows the rows of one split and their batches. Does not
know methods or optimizers.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import torch
from datasets import Dataset

from engine.batches import Batch, make_batch, sizes
from engine.evaluation import CompletionLoss

_IN_MEMORY_BYTES = 256 * 2**20


class Activations:
    """Of one split. Every row stands in one of `first_batches`, with those that it is computed with."""

    def __init__(
        self,
        loss: CompletionLoss,
        dataset: Dataset,
        first_batches: Sequence[list[int]],
        pad_id: int,
        folder: Path,
    ) -> None:
        self._loss, self._dataset, self._pad_id = loss, dataset, pad_id
        self._lengths = [tokens for tokens, _ in sizes(dataset)]
        self._starts = [0, *accumulate(self._lengths)]
        self._waiting = {row: rows for rows in first_batches for row in rows}
        self._kept = _allocate(self._starts[-1], loss.hidden_size, folder)

    def make_batch(self, rows: list[int]) -> Batch:
        """The batch of these rows with what the frozen layers make of them, computed where it is not kept."""
        for row in rows:
            if row in self._waiting:
                self._compute(self._waiting[row])
        batch = make_batch(self._dataset, rows, self._pad_id)
        hidden = torch.zeros(*batch.input_ids.shape, self._kept.shape[1])
        for place, row in enumerate(rows):
            hidden[place, : self._lengths[row]] = self._kept[self._starts[row] : self._starts[row + 1]]
        return replace(batch, hidden=hidden)

    def _compute(self, rows: list[int]) -> None:
        hidden = self._loss.run_frozen(make_batch(self._dataset, rows, self._pad_id))
        for place, row in enumerate(rows):
            self._kept[self._starts[row] : self._starts[row + 1]] = hidden[place, : self._lengths[row]]
            del self._waiting[row]


def _allocate(tokens: int, size: int, folder: Path) -> torch.Tensor:
    """(tokens, size) in bf16."""
    if 2 * tokens * size <= _IN_MEMORY_BYTES:
        return torch.empty(tokens, size, dtype=torch.bfloat16)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".activations-") as file:
        file.truncate(2 * tokens * size)
        flat = torch.from_file(file.name, shared=True, size=tokens * size, dtype=torch.bfloat16)
    return flat.view(tokens, size)
