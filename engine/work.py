"""The work a recipe makes, counted from the lengths of the examples: steps, floating point operations, bytes.

Does not know how fast or how large any machine is; torch is not imported.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.contract.records import Recipe, Split, TokenCounts
from engine.machine import Precision
from engine.methods import MAX_EXAMPLE_TOKENS, get_method, max_example_tokens
from engine.methods.flops import Load
from engine.schedule import choose_validation_rows, count_steps, evaluation_steps

if TYPE_CHECKING:
    from engine.methods.flops import Flops
    from engine.models.inspect import ModelShape

# Held equal to those of the modules that import torch, by a test.
BATCHES_PER_GROUP = 8
EVALUATION_TOKENS = 1024
LENGTH_MULTIPLE = 16
HEAD_MULTIPLE = 128
SCORES_AT_ONCE = {"fp32": 16_000_000, "bf16": 60_000_000}
ROWS_MULTIPLE = {"fp32": 8, "bf16": 128}
ATTENTION_BLOCK = {"fp32": 64, "bf16": 512}

COMPILED_PRODUCT_BYTES = 400_000
"""By so much every product that oneDNN has compiled in bf16 raises the peak, as `tests.benchmarks.estimates`
has it. It keeps 1.1 MB of each, most of which finds room in what smaller batches leave."""
ATTENTION_PRODUCTS, HEAD_PRODUCTS = 5, 3
"""Kinds of products that are compiled for each number of positions, and for each number of learnt tokens."""


COUNTING = 9
"""Raised when the same work or memory is counted otherwise: what was measured before holds no longer."""


class Tokens(NamedTuple):
    """The length of one example."""

    prompt: int
    completion: int


@dataclass(frozen=True)
class Computing:
    """How the trainer goes about it, as far as it changes the work."""

    in_rows: bool
    """As `llama_body.py` does: no padding, what texts share only once, activations kept of frozen layers."""
    precision: Precision

    @classmethod
    def on(cls, device: str, shape: ModelShape, precision: Precision) -> Computing:
        return cls(device == "cpu" and shape.is_plain_llama, precision)

    @property
    def narrows(self) -> bool:
        """Whether what goes into a product is narrower than the weights that learn."""
        return self.precision != "fp32"

    @property
    def number_bytes(self) -> int:
        """Of what goes into a product."""
        return 2 if self.narrows else 4


@dataclass(frozen=True)
class TokenLengths:
    """The length of every example, by split."""

    train: list[Tokens]
    validation: list[Tokens]
    shared: int = 0
    """Tokens with which all of them begin."""

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
        return cls(by_split["train"], by_split["validation"], counts.shared_tokens)


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


def count_work(shape: ModelShape, recipe: Recipe, lengths: TokenLengths, computing: Computing) -> Work:
    """`recipe` has every default filled in."""
    method = get_method(recipe.method)
    flops = method.count_flops(shape, recipe)
    cut = TokenLengths(
        _cut(lengths.train, shape, recipe), _cut(lengths.validation, shape, recipe), lengths.shared
    )
    train = plan_training(cut.train, recipe.batch_size or 1)
    validation = plan_evaluation(_evaluated(cut, recipe, flops))
    steps = count_steps(len(cut.train), recipe)
    train_loads, evaluation_loads = (
        [_load(batch, cut.shared, flops, computing) for batch in batches] for batches in (train, validation)
    )
    epoch_flops = sum(flops.forward(load) + flops.backward(load) + flops.per_step for load in train_loads)
    evaluation_flops = sum(map(flops.forward, evaluation_loads))
    train_once, evaluation_once = (
        sum(map(flops.frozen, loads)) * computing.in_rows for loads in (train_loads, evaluation_loads)
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
        working_bytes=count_working_bytes(shape, recipe, train, validation, computing),
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


def _load(batch: list[Tokens], shared: int, flops: Flops, computing: Computing) -> Load:
    return load_batch([sum(tokens) for tokens in batch], _learnt(batch), shared, flops, computing)


def load_batch(lengths: Sequence[int], learnt: int, shared: int, flops: Flops, computing: Computing) -> Load:
    """Of texts that begin with `shared` tokens in common and hold `learnt` ones in all."""
    virtual = flops.virtual_tokens
    if not computing.in_rows:
        positions = round_up(max(lengths), LENGTH_MULTIPLE) + virtual
        tokens = len(lengths) * positions
        return Load(tokens, tokens, tokens * positions, round_up(learnt, HEAD_MULTIPLE))
    positions = round_up(max(lengths) + virtual, LENGTH_MULTIPLE)
    multiple = ROWS_MULTIPLE[computing.precision]
    # Each looks back to the beginning, and ahead to the end of its block.
    block = min(positions, ATTENTION_BLOCK[computing.precision])
    tokens = virtual + shared + sum(max(length - shared, 0) for length in lengths)
    return Load(
        layers=round_up(tokens + 1, multiple),
        last=round_up(learnt + 1, multiple),
        pairs=len(lengths) * positions * (positions + block) / 2,
        learnt=round_up(learnt, multiple),
    )


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
    computing: Computing,
) -> int:
    """What learns (gradient, two moments of Adam, the best so far: 4 bytes each), copies of the weights for
    the products, the largest batch, the activations that are kept, and the compiled products."""
    method = get_method(recipe.method)
    flops = method.count_flops(shape, recipe)
    states = 16 * method.count_trainable(shape, recipe)
    copied = (shape.layers * shape.layer_linear_parameters + shape.head_parameters) * computing.narrows
    largest = count_batch_bytes(shape, recipe, train, validation, computing)
    kept = 0
    if computing.in_rows and flops.frozen_share:
        kept = 2 * shape.hidden_size * sum(sum(tokens) for batch in [*train, *validation] for tokens in batch)
    compiled = _compiled_bytes(flops, [*train, *validation], computing)
    return int(states + copied * computing.number_bytes + largest + kept + compiled)


def count_batch_bytes(
    shape: ModelShape,
    recipe: Recipe,
    train: list[list[Tokens]],
    validation: list[list[Tokens]],
    computing: Computing,
) -> float:
    """What the largest batch keeps while it goes through the model."""
    flops = get_method(recipe.method).count_flops(shape, recipe)
    batches = [_training_bytes(shape, flops, batch, computing) for batch in train]
    batches += [_evaluation_bytes(shape, flops, batch, computing) for batch in validation]
    return max(batches, default=0.0)


def _compiled_bytes(flops: Flops, batches: list[list[Tokens]], computing: Computing) -> float:
    if not (computing.in_rows and computing.narrows and batches):
        return 0.0
    # Taken as if there were batches of every size up to the largest, as far as there are so many.
    loads = [_load(batch, 0, flops, computing) for batch in batches]
    multiple, most = ROWS_MULTIPLE[computing.precision], len(batches)
    longest = max(sum(tokens) for batch in batches for tokens in batch) + flops.virtual_tokens
    # A layer's rows come in two numbers: as many as tokens, and as are wanted after the last attention.
    rows = min(2 * most, max(load.layers for load in loads) / multiple)
    learnt = min(most, max(load.learnt for load in loads) / multiple)
    positions = min(most, longest / LENGTH_MULTIPLE)
    products = flops.products * rows + ATTENTION_PRODUCTS * positions + HEAD_PRODUCTS * learnt
    return COMPILED_PRODUCT_BYTES * products


def _training_bytes(shape: ModelShape, flops: Flops, batch: list[Tokens], computing: Computing) -> float:
    # Kept for the way back, as in `llama_layer.py`: two rows of the hidden size in fp32; as they go into the
    # products queries, keys, values, what attention mixed, gate and up. Then one layer's gradients, and a
    # piece of the scores.
    number = computing.number_bytes
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    per_layer = 8 * shape.hidden_size + 2 * number * (queries + keys + shape.intermediate_size)
    load = _load(batch, 0, flops, computing)
    passing = (12 + 6 * number) * shape.hidden_size + 7 * number * shape.intermediate_size
    looked_at = 2 * number * shape.heads * load.pairs
    return (
        load.layers * (flops.layers_backward * per_layer + passing)
        + looked_at
        + _scores_bytes(shape, batch, computing)
    )


def _evaluation_bytes(shape: ModelShape, flops: Flops, batch: list[Tokens], computing: Computing) -> float:
    per_token = 16 * shape.hidden_size + 3 * computing.number_bytes * shape.intermediate_size
    return _load(batch, 0, flops, computing).layers * per_token + _scores_bytes(shape, batch, computing)


def _scores_bytes(shape: ModelShape, batch: list[Tokens], computing: Computing) -> float:
    # A piece at a time, as in `head_loss.py`: as it goes through the products, and rows of the hidden size
    # with their gradient. A model's own forward has it in fp32 besides, with its gradient.
    per_score = computing.number_bytes + (0 if computing.in_rows else 8)
    return (
        min(_learnt(batch) * shape.vocabulary, SCORES_AT_ONCE[computing.precision]) * per_score
        + _learnt(batch) * shape.hidden_size * 16
    )
