"""From the frozen examples of a dataset to batches of tensors, in an order that only seed and epoch decide.

Knows encoding and padding. Does not know models or losses.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from engine.contract.records import Example, Split
from engine.encoding import encode_example

# Batches are cut from groups of this many, sorted by length: little padding, and another mix every epoch.
_BATCHES_PER_GROUP = 8
# oneDNN compiles and keeps a kernel for every shape it meets in bf16: few shapes cost less time and memory.
LENGTH_MULTIPLE = 16
# Logits of an evaluation must not need more memory than those of a step.
_EVALUATION_TOKENS = 1024


@dataclass(frozen=True)
class Batch:
    """Sequences padded on the right. The token after position i is a target where `learnt[i]` is true.

    There is no attention mask: a causal model never looks at padding that comes later.
    """

    input_ids: torch.Tensor
    learnt: torch.Tensor
    targets: torch.Tensor
    """The learnt tokens, row by row: one for each true in `learnt`."""
    lengths: tuple[int, ...]
    """Tokens of each row."""
    hidden: torch.Tensor | None = None
    """(rows, positions, hidden size), where the frozen layers have been run already."""

    @property
    def shared(self) -> int:
        """Tokens with which all rows begin, before the first that is followed by a learnt one."""
        apart = (self.input_ids != self.input_ids[0]).any(0) | self.learnt.any(0)
        return min(int(apart.int().argmax()), *self.lengths) if bool(apart.any()) else 0

    def to(self, device: torch.device) -> "Batch":
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            learnt=self.learnt.to(device),
            targets=self.targets.to(device),
            hidden=None if self.hidden is None else self.hidden.to(device),
        )


def read_examples(file: Path) -> list[Example]:
    with file.open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line) for line in lines if line.strip()]


def tokenize(tokenizer: Any, examples: Iterable[Example], split: Split, max_tokens: int) -> Dataset:
    """One split as an Arrow table of `input_ids` and `learnt`; what has nothing to learn is left out."""
    encoded = [
        encode_example(tokenizer, example.prompt, example.completion, max_tokens, example.turns)
        for example in examples
        if example.split == split
    ]
    useful = [one for one in encoded if one.learnt_tokens]
    columns = {"input_ids": [one.input_ids for one in useful], "learnt": [one.learnt for one in useful]}
    return Dataset.from_dict(columns).with_format("numpy")


def sizes(dataset: Dataset) -> list[tuple[int, int]]:
    """(tokens, learnt tokens) of every row."""
    return [(len(one["learnt"]), int(one["learnt"].sum())) for one in dataset]


def make_batch(dataset: Dataset, rows: list[int], pad_id: int) -> Batch:
    found = dataset[rows]
    picked = list(zip(found["input_ids"], found["learnt"], strict=True))
    longest = round_up(max(len(ids) for ids, _ in picked), LENGTH_MULTIPLE)
    input_ids = np.full((len(picked), longest), pad_id, dtype=np.int64)
    targets = np.zeros((len(picked), longest), dtype=np.int64)
    learnt = np.zeros((len(picked), longest), dtype=bool)
    for row, (ids, is_learnt) in enumerate(picked):
        input_ids[row, : len(ids)] = ids
        targets[row, : len(ids) - 1] = ids[1:]
        learnt[row, : len(ids) - 1] = is_learnt[1:]
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        learnt=torch.from_numpy(learnt),
        targets=torch.from_numpy(targets[learnt]),
        lengths=tuple(len(ids) for ids, _ in picked),
    )


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def plan_epoch(lengths: list[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Rows of each batch of one epoch: every row once, like lengths together; a pure function.

    The largest batch of all begins the first epoch: later ones then find room in what it has freed, where
    smaller ones would have left no free piece of its size.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    shuffled = random.permutation(len(lengths)).tolist()
    group = batch_size * _BATCHES_PER_GROUP
    batches = []
    for start in range(0, len(shuffled), group):
        rows = sorted(shuffled[start : start + group], key=lambda row: lengths[row])
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    planned = [batches[number] for number in random.permutation(len(batches))]
    if epoch == 0 and planned:
        largest = max(range(len(planned)), key=lambda number: sum(lengths[row] for row in planned[number]))
        planned.insert(0, planned.pop(largest))
    return planned


def plan_evaluation(dataset: Dataset, rows: list[int]) -> list[list[int]]:
    """The chosen rows, shortest first, as many together as _EVALUATION_TOKENS allow."""
    length = [tokens for tokens, _ in sizes(dataset)]
    groups: list[list[int]] = []
    for row in sorted(rows, key=lambda row: (length[row], row)):
        if groups and (len(groups[-1]) + 1) * length[row] <= _EVALUATION_TOKENS:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
