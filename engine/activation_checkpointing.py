"""Activation checkpointing: where memory asks for it, a layer keeps only what went into it and is computed
again on the way back (Chen et al. 2016, arXiv 1604.06174). The same numbers, for about a third more time.

Knows counted work and free memory. Does not know optimizers or runs.
"""

from collections.abc import Sequence
from typing import Any

import torch

from engine.contract.records import Recipe
from engine.device import Device
from engine.machine import read_memory
from engine.models.inspect import ModelShape
from engine.work import (
    Computing,
    Tokens,
    count_batch_bytes,
    count_working_bytes,
    plan_evaluation,
    plan_training,
)

STOCK_KEEPS = 2.5
"""Of what `work.py` counts for a batch, so much at most is kept by a model's own forward, as the bytes of the
tensors that autograd saved came to: Gemma 2 with all layers in bf16 2.5, the other kinds 0.7 to 1.9."""


def free_bytes(device: Device) -> int:
    """Of the memory that the device computes in."""
    if device.kind == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return read_memory()[1]


def needs_checkpointing(
    shape: ModelShape,
    recipe: Recipe,
    train: Sequence[tuple[int, int]],
    validation: Sequence[tuple[int, int]],
    computing: Computing,
    free: int,
) -> bool:
    """Whether a run would outgrow `free` bytes, its model loaded already.

    `train`, `validation`: (tokens, learnt tokens) of each example. Our own layers (`computing.in_rows`) keep
    little by themselves.
    """
    if computing.in_rows:
        return False
    batches = plan_training(_lengths(train), recipe.batch_size or 1)
    evaluated = plan_evaluation(_lengths(validation))
    counted = count_working_bytes(shape, recipe, batches, evaluated, computing)
    beyond = (STOCK_KEEPS - 1) * count_batch_bytes(shape, recipe, batches, evaluated, computing)
    return counted + beyond > free


def checkpoint_activations(model: Any) -> None:
    """From now on, while `model` is in training mode."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    base.activation_checkpointing_enable()
    # Made to learn for another kind of checkpointing, the embeddings would have gradients travel down to them
    # through layers below all that learns.
    base.disable_input_require_grads()


def _lengths(sizes: Sequence[tuple[int, int]]) -> list[Tokens]:
    return [Tokens(tokens - learnt, learnt) for tokens, learnt in sizes]
