"""Two ways through a model from a batch to its loss, behind one protocol.

    StockBackend       the model's own forward in `transformers`, on any device
    CpuLlamaBackend    `LlamaBody`: a plain Llama on a processor, faster and in less memory

Knows models and batches. Does not know optimizers, runs or files.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch.nn.functional import cross_entropy, pad

from engine.batches import Batch, round_up
from engine.device import DTYPES, Device, autocast
from engine.head_loss import summed_cross_entropy
from engine.llama_body import LlamaBody, can_build
from engine.machine import Precision

# Few shapes cost less.
_HEAD_MULTIPLE = 128


class Backend(Protocol):
    """Computes the loss of batches that lie on the model's device, and its gradients by autograd."""

    precision: Precision
    """The number format of the products; may be set at any time."""

    def loss(self, batch: Batch) -> torch.Tensor:
        """Nats over the learnt tokens, summed, in fp32."""
        ...

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest layers `run_frozen` can run once for all passes."""
        ...

    def run_frozen(self, batch: Batch) -> torch.Tensor:
        """(texts, positions, size): what goes into the lowest layer that learns."""
        ...

    def untouched_base(self) -> AbstractContextManager[None]:
        """Before the first step: the base without the method, which can differ by virtual tokens alone."""
        ...


def choose_backend(model: Any, device: Device, precision: Precision) -> Backend:
    if can_build(model):
        return CpuLlamaBackend(model, precision)
    return StockBackend(model, device, precision)


class StockBackend:
    """The model's own forward, the head computed only where a token is learnt.

    A hook before the head, by far the widest map of a small model, picks the learnt positions out.
    """

    frozen_layers = 0

    def __init__(self, model: Any, device: Device, precision: Precision) -> None:
        self.precision = precision
        self._model, self._device = model, device
        self._learnt: torch.Tensor | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._pick)

    def loss(self, batch: Batch) -> torch.Tensor:
        self._learnt = batch.learnt
        try:
            with autocast(self._device, self.precision):
                logits = self._model(input_ids=batch.input_ids, use_cache=False).logits
        finally:
            self._learnt = None
        return cross_entropy(logits[: batch.targets.numel()].float(), batch.targets, reduction="sum")

    def run_frozen(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError("no layer is run apart from the others")

    @contextmanager
    def untouched_base(self) -> Iterator[None]:
        if not hasattr(self._model, "disable_adapter"):
            yield
            return
        learnt = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        try:
            with self._model.disable_adapter():
                yield
        finally:
            # PEFT switches on whatever belongs to an adapter, also what must not learn.
            self._model.requires_grad_(False)
            for parameter in learnt:
                parameter.requires_grad_(True)

    def _pick(self, head: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        if self._learnt is None:
            return None
        (hidden,) = inputs
        # Virtual tokens stand before the real ones and are never learnt.
        picked = hidden[:, hidden.shape[1] - self._learnt.shape[1] :][self._learnt]
        return (pad(picked, (0, 0, 0, round_up(len(picked), _HEAD_MULTIPLE) - len(picked))),)


class CpuLlamaBackend:
    """A `LlamaBody` over the model's weights, made anew when the number format changes."""

    def __init__(self, model: Any, precision: Precision) -> None:
        self.precision = precision
        self._model = model
        self._with_prompts = True
        self._body: tuple[Precision, LlamaBody] | None = None

    def loss(self, batch: Batch) -> torch.Tensor:
        body = self._find_body()
        picked = body.run(batch, with_prompts=self._with_prompts)
        return summed_cross_entropy(picked, body.head, batch.targets, DTYPES[self.precision])

    @property
    def frozen_layers(self) -> int:
        return self._find_body().frozen_layers

    @torch.no_grad()
    def run_frozen(self, batch: Batch) -> torch.Tensor:
        return self._find_body().run_frozen(batch)

    @contextmanager
    def untouched_base(self) -> Iterator[None]:
        self._with_prompts = False
        try:
            yield
        finally:
            self._with_prompts = True

    def _find_body(self) -> LlamaBody:
        if self._body is None or self._body[0] != self.precision:
            self._body = None
            self._body = self.precision, LlamaBody(self._model, DTYPES[self.precision])
        return self._body[1]
