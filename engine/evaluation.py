"""How surprised a model is by the completions: the one forward that training and evaluation share.

Knows models and batches. Does not know optimizers, runs or files.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch

from engine.backends import Backend, choose_backend
from engine.batches import Batch
from engine.device import Device
from engine.machine import Precision


class CompletionLoss:
    """Nats over the learnt tokens of a batch, by the backend that suits the model and the device."""

    def __init__(
        self, model: Any, device: Device, precision: Precision, backend: Backend | None = None
    ) -> None:
        self.model, self.device = model, device
        self._backend = backend or choose_backend(model, device, precision)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The sum of the losses, in fp32."""
        return self._backend.loss(batch.to(self.device.torch))

    @property
    def precision(self) -> Precision:
        """The number format of the products."""
        return self._backend.precision

    @precision.setter
    def precision(self, precision: Precision) -> None:
        self._backend.precision = precision

    @property
    def hidden_size(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest layers `run_frozen` can run once for all passes."""
        return self._backend.frozen_layers

    def run_frozen(self, batch: Batch) -> torch.Tensor:
        """(texts, positions, size): what goes into the lowest layer that learns."""
        return self._backend.run_frozen(batch)

    def untouched_base(self) -> AbstractContextManager[None]:
        """Before the first step: the base without the method, which can differ by virtual tokens alone."""
        return self._backend.untouched_base()


@torch.no_grad()
def validation_loss(
    loss: CompletionLoss, batches: Iterable[Batch], give_up: Callable[[], bool] = lambda: False
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
