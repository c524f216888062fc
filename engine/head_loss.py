"""From normed hidden states straight to the loss: the scores of a wide vocabulary are never kept.

A piece at a time, the scores are made, and on the way the gradients with them: what would be read again in
the backward pass is small. Knows tensors. Does not know models or batches.
"""

from typing import Any

import torch
from torch import Tensor

from engine.device import ROWS_MULTIPLE, SCORES_AT_ONCE

_CACHED_SCORES = 800_000
"""So many in fp32 stay in the cache of two cores while they are gone over again and again."""


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
            scores = _score(piece, narrow)
            loss += _sum_losses(scores, wanted, turns=learns_rows or learns_weight)
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


def _score(rows: Tensor, weight: Tensor) -> Tensor:
    """(rows, vocabulary), in the number format of both.

    A product this wide and low is made faster the other way round in fp32, and what comes after does not mind
    how it lies in memory.
    """
    return (weight @ rows.t()).t() if weight.dtype == torch.float32 else rows @ weight.t()


def _sum_losses(scores: Tensor, targets: Tensor, turns: bool) -> Tensor:
    """The summed loss; if it `turns` them, `scores` (rows, vocabulary) become gradients, 0 behind targets.

    All in fp32, and in place if they are: what the scores hold otherwise means nothing after that. Scores in
    another format go there by few rows at once.
    """
    loss = scores.new_zeros((), dtype=torch.float32)
    by = len(scores) if scores.dtype == torch.float32 else max(1, _CACHED_SCORES // scores.shape[1])
    for start in range(0, len(targets), by):
        wanted = targets[start : start + by]
        part = scores[start : start + len(wanted)]
        places = (torch.arange(len(wanted)), wanted)
        # In place, and the exponential only once: what is as wide as the vocabulary costs most here.
        exact = part.float()
        exact -= exact.amax(dim=1, keepdim=True)
        loss -= exact[places].sum()
        total = exact.exp_().sum(dim=1, keepdim=True)
        loss += total.log().sum()
        if not turns:
            continue
        exact /= total
        exact[places] -= 1.0
        if exact is not part:
            part.copy_(exact)
    scores[len(targets) :] = 0.0
    return loss


def _add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """`total`, nothing at first, and the product: in fp32, whatever the factors are in."""
    if total is None:
        return (left @ right).float()
    if total.dtype == left.dtype:
        return total.addmm_(left, right)
    return total.add_(left @ right)
