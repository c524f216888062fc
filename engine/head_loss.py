"""From normed hidden states straight to the loss: the scores of a wide vocabulary are never kept.

A piece at a time, the scores are made, and on the way the gradients with them: what would be read again in
the backward pass is small. Knows tensors. Does not know models or batches.
"""

from typing import Any

import torch
from torch import Tensor

from engine.device import ROWS_MULTIPLE, SCORES_AT_ONCE
from engine.kernels import cross_entropy


def summed_cross_entropy(rows: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Cross-entropy in nats, summed, in fp32.

    `rows` (learnt tokens, size), `weight` of the head (vocabulary, size), `targets` (learnt tokens). Products
    are made in `dtype`.
    """
    loss: Tensor = _HeadLoss.apply(rows, weight, targets, dtype)  # type: ignore[no-untyped-call]
    return loss


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        learns_rows, learns_weight = ctx.needs_input_grad[:2]
        narrow = weight.to(dtype)
        row_gradients = torch.empty_like(rows) if learns_rows else None
        weight_gradient: Tensor | None = None
        loss = rows.new_zeros(())
        multiple = ROWS_MULTIPLE[dtype]
        at_once = max(multiple, SCORES_AT_ONCE[dtype] // len(weight) // multiple * multiple)
        for start in range(0, len(rows), at_once):
            wanted = targets[start : start + at_once]
            count = len(wanted)
            piece = rows.new_zeros(-(-count // multiple) * multiple, rows.shape[1], dtype=dtype)
            piece[:count] = rows[start : start + at_once]
            scores = piece @ narrow.t()
            loss += cross_entropy(scores, wanted, turns=learns_rows or learns_weight).sum()
            if row_gradients is not None:
                row_gradients[start : start + at_once] = (scores @ narrow)[:count]
            if learns_weight:
                weight_gradient = _add_product(weight_gradient, scores.t(), piece)
        ctx.gradients = row_gradients, weight_gradient
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        row_gradients, weight_gradient = (
            None if found is None else found.mul_(gradients[0]) for found in ctx.gradients
        )
        ctx.gradients = None
        return row_gradients, weight_gradient, None, None


def _add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """`total`, nothing at first, and the product: in fp32, whatever the factors are in."""
    if total is None:
        return (left @ right).float()
    if total.dtype == left.dtype:
        return total.addmm_(left, right)
    return total.add_(left @ right)
