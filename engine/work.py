"""The work a recipe makes, counted from the lengths of the examples: steps, floating point operations, bytes.

Does not know how fast or how large any machine is; torch is not imported.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.contract.records import Recipe, Split, TokenCounts
from engine.methods import MAX_EXAMPLE_TOKENS, get_method, max_example_tokens
from engine.schedule import choose_validation_rows, count_steps, evaluation_steps

if TYPE_CHECKING:
    from engine.methods.flops import Flops
    from engine.models import ModelShape

# Held equal to those of `batches.py`, `evaluation.py` and `head_loss.py`, which import torch, by a test.
BATCHES_PER_GROUP = 8
EVALUATION_TOKENS = 1024
LENGTH_MULTIPLE = 16
HEAD_MULTIPLE = 128
SCORES_AT_ONCE = 8_000_000


COUNTING = 3
"""Raised when the same work is counted otherwise: rates that were measured before hold no longer."""


class Tokens(NamedTuple):
    """The length of one example."""

    prompt: int
    completion: int


@dataclass(frozen=True)
class TokenLengths:
    """The length of every example, by split."""

    train: list[Tokens]
    validation: list[Tokens]

    @classmethod
    def from_counts(cls, counts: TokenCounts, splits: list[Split]) -> TokenLengths:
        """`splits[i]` is the split of the example whose tokens stand at place i of `counts`."""
        limit = min(counts.window_tokens, MAX_EXAMPLE_TOKENS)
        turns = counts.turn_tokens or [0] * len(splits)
        by_split: dict[Split, list[Tokens]] = {"train": [], "validation": []}
        for prompt, completion, earlier, split in zip(
            counts.prompt_tokens, counts.completion_tokens, turns, splits, strict=True
        ):
            # Earlier turns make room for the completion; nothing else of a prompt does.
            dropped = min(max(prompt + completion - limit, 0), earlier)
            by_split[split].append(Tokens(prompt - dropped, completion))
        return cls(by_split["train"], by_split["validation"])


@dataclass(frozen=True)
class Work:
    """What a recipe makes the machine do, without any idea of how fast that machine is."""

    steps: int
    training_flops: float
    """Of all steps, without `once_flops`."""
    evaluations: int
    """Of the validation examples, besides the one of the base before the first step."""
    evaluation_flops: float
    """Of each, without `once_flops`."""
    once_flops: float
    """Frozen layers whose activations are kept: every example goes through them once."""
    training_shapes: int
    """Sizes of batches, each of which is new to the machine once."""
    evaluation_shapes: int
    trainable: int
    working_bytes: int
    """Beyond the libraries and the model as they lie there after loading."""


def count_work(
    shape: ModelShape, recipe: Recipe, lengths: TokenLengths, keeps_activations: bool = False
) -> Work:
    """`recipe` has every default filled in. Activations can be kept on a processor, of a plain Llama."""
    method = get_method(recipe.method)
    flops = method.count_flops(shape, recipe)
    cut = TokenLengths(_cut(lengths.train, shape, recipe), _cut(lengths.validation, shape, recipe))
    train = plan_training(cut.train, recipe.batch_size or 1)
    validation = plan_evaluation(_evaluated(cut, recipe, flops))
    steps = count_steps(len(cut.train), recipe)
    epoch_flops = sum(_flops(flops.training, batch) + flops.per_step for batch in train)
    evaluation_flops = sum(_flops(flops.evaluation, batch) for batch in validation)
    train_once, evaluation_once = (
        sum(_flops(lambda tokens, learnt: flops.frozen(tokens), batch) for batch in split) * keeps_activations
        for split in (train, validation)
    )
    return Work(
        steps=steps,
        training_flops=(recipe.epochs or 1) * (epoch_flops - train_once),
        evaluations=len(evaluation_steps(steps, recipe.epochs or 1)),
        evaluation_flops=evaluation_flops - evaluation_once,
        once_flops=train_once + evaluation_once,
        training_shapes=_count_shapes(train),
        evaluation_shapes=_count_shapes(validation),
        trainable=method.count_trainable(shape, recipe),
        working_bytes=count_working_bytes(shape, recipe, train, validation, keeps_activations),
    )


def _evaluated(lengths: TokenLengths, recipe: Recipe, flops: Flops) -> list[Tokens]:
    """The validation examples that are looked at each time."""
    train, validation = (
        [(sum(tokens), tokens.completion) for tokens in split]
        for split in (lengths.train, lengths.validation)
    )
    return [lengths.validation[row] for row in choose_validation_rows(train, validation, recipe, flops)]


def plan_training(lengths: list[Tokens], batch_size: int) -> list[list[Tokens]]:
    """As `batches.plan_epoch`: alike lengths together within shuffled groups."""
    shuffled = random.Random(0).sample(lengths, len(lengths))  # noqa: S311
    groups = (sorted(group, key=sum) for group in _chunks(shuffled, batch_size * BATCHES_PER_GROUP))
    return [batch for group in groups for batch in _chunks(group, batch_size)]


def plan_evaluation(lengths: list[Tokens]) -> list[list[Tokens]]:
    """As `batches.plan_evaluation`: shortest first, as many together as EVALUATION_TOKENS allow."""
    batches: list[list[Tokens]] = []
    for tokens in sorted(lengths, key=sum):
        if batches and (len(batches[-1]) + 1) * sum(tokens) <= EVALUATION_TOKENS:
            batches[-1].append(tokens)
        else:
            batches.append([tokens])
    return batches


def _count_shapes(batches: list[list[Tokens]]) -> int:
    return len({(len(batch), round_up(max(map(sum, batch)), LENGTH_MULTIPLE)) for batch in batches})


def _chunks(items: list[Tokens], size: int) -> list[list[Tokens]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def batch_flops(
    per_sequence: Callable[[int, int], float], sequences: int, longest: int, learnt: int
) -> float:
    """Padding costs like tokens: all sequences are as long as the longest, and both sizes are rounded up."""
    head = round_up(learnt, HEAD_MULTIPLE)
    return sequences * per_sequence(round_up(longest, LENGTH_MULTIPLE), round(head / sequences))


def _flops(per_sequence: Callable[[int, int], float], batch: list[Tokens]) -> float:
    return batch_flops(per_sequence, len(batch), max(map(sum, batch)), _learnt(batch))


def _learnt(batch: list[Tokens]) -> int:
    return sum(tokens.completion for tokens in batch)


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _cut(lengths: list[Tokens], shape: ModelShape, recipe: Recipe) -> list[Tokens]:
    limit = max_example_tokens(shape.window_tokens, recipe)
    cut = ((min(prompt, limit), completion) for prompt, completion in lengths)
    return [Tokens(prompt, min(completion, limit - prompt)) for prompt, completion in cut]


def count_working_bytes(
    shape: ModelShape,
    recipe: Recipe,
    train: list[list[Tokens]],
    validation: list[list[Tokens]],
    keeps_activations: bool = False,
) -> int:
    """What learns (gradient, two moments of Adam, the best so far: 4 bytes each), copies of the weights in
    bf16, the largest batch, and the activations that are kept."""
    method = get_method(recipe.method)
    flops = method.count_flops(shape, recipe)
    states = 16 * method.count_trainable(shape, recipe)
    copies = 2 * (shape.layers * shape.layer_linear_parameters + shape.head_parameters)
    batches = [_training_bytes(shape, flops, batch) for batch in train]
    batches += [_evaluation_bytes(shape, batch, flops) for batch in validation]
    kept = 0
    if keeps_activations and flops.frozen_share:
        kept = 2 * shape.hidden_size * sum(sum(tokens) for batch in [*train, *validation] for tokens in batch)
    return int(states + copies + max(batches, default=0) + kept)


def _training_bytes(shape: ModelShape, flops: Flops, batch: list[Tokens]) -> float:
    # Kept for the way back, as in `llama_layer.py`: two rows of the hidden size in fp32; in bf16 queries,
    # keys, values, what attention mixed, gate and up. Then one layer's gradients, and a piece of the scores.
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    per_layer = 8 * shape.hidden_size + 4 * (queries + keys) + 4 * shape.intermediate_size
    tokens = _tokens_in_memory(flops, batch)
    passing = 24 * shape.hidden_size + 14 * shape.intermediate_size + 12 * shape.heads * tokens / len(batch)
    return tokens * (flops.layers_backward * per_layer + passing) + _scores_bytes(shape, batch)


def _evaluation_bytes(shape: ModelShape, batch: list[Tokens], flops: Flops) -> float:
    tokens = _tokens_in_memory(flops, batch)
    return tokens * (16 * shape.hidden_size + 6 * shape.intermediate_size) + _scores_bytes(shape, batch)


def _scores_bytes(shape: ModelShape, batch: list[Tokens]) -> float:
    # A piece at a time, as in `head_loss.py`: bf16 and fp32, and rows of the hidden size with their gradient.
    return (
        min(_learnt(batch) * shape.vocabulary, SCORES_AT_ONCE) * 10 + _learnt(batch) * shape.hidden_size * 16
    )


def _tokens_in_memory(flops: Flops, batch: list[Tokens]) -> int:
    return len(batch) * (round_up(max(map(sum, batch)), LENGTH_MULTIPLE) + flops.virtual_tokens)
