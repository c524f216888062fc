"""How surprised a model is by the completions: the one forward that training and evaluation share.

Knows models and batches. Does not know optimizers, runs or files.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad

from engine.batches import Batch, round_up
from engine.device import Device, Precision, autocast

# Few shapes, as in `batches.py`.
_HEAD_MULTIPLE = 128


class CompletionLoss:
    """Nats over the learnt tokens of a batch, the head computed only where a token is learnt.

    The head is by far the widest map of a small model, and no position of a prompt is ever scored: a hook
    before the head picks the learnt positions out, and all else is the model's own forward, whatever its
    method or family.
    """

    def __init__(self, model: Any, device: Device, precision: Precision) -> None:
        self.model, self.device, self.precision = model, device, precision
        self._learnt: torch.Tensor | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._pick)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The sum of the losses, in fp32."""
        batch = batch.to(self.device.torch)
        self._learnt = batch.learnt
        try:
            with autocast(self.device, self.precision):
                logits = self.model(input_ids=batch.input_ids, use_cache=False).logits
        finally:
            self._learnt = None
        return cross_entropy(logits[: batch.targets.numel()].float(), batch.targets, reduction="sum")

    def _pick(self, head: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        if self._learnt is None:
            return None
        (hidden,) = inputs
        # Virtual tokens stand before the real ones and are never learnt.
        picked = hidden[:, hidden.shape[1] - self._learnt.shape[1] :][self._learnt]
        return (pad(picked, (0, 0, 0, round_up(len(picked), _HEAD_MULTIPLE) - len(picked))),)


@torch.no_grad()
def validation_loss(
    loss: CompletionLoss, batches: list[Batch], give_up: Callable[[], bool] = lambda: False
) -> float | None:
    """Nats per learnt token over all batches; None if there are none, or if `give_up` said so in between."""
    total, tokens = 0.0, 0
    loss.model.eval()
    for batch in batches:
        if give_up():
            return None
        total += loss(batch).item()
        tokens += batch.targets.numel()
    return total / tokens if tokens else None
