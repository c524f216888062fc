"""How surprised a model is by the completions: the one forward that training and evaluation share.

Knows models and batches. Does not know optimizers, runs or files.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad

from engine.batches import Batch, round_up
from engine.device import DTYPES, Device, autocast
from engine.head_loss import summed_cross_entropy
from engine.llama_body import LlamaBody, can_build
from engine.machine import Precision

# Few shapes cost less.
_HEAD_MULTIPLE = 128


class CompletionLoss:
    """Nats over the learnt tokens of a batch, the head computed only where a token is learnt.

    A Llama on a processor goes through `LlamaBody`. Any other model goes through its own forward: a hook
    before the head, by far the widest map of a small model, picks the learnt positions out.
    """

    def __init__(self, model: Any, device: Device, precision: Precision) -> None:
        self.model, self.device, self.precision = model, device, precision
        self._learnt: torch.Tensor | None = None
        self._adapted = True
        self._body: tuple[Precision, LlamaBody] | None = None
        self._is_llama = can_build(model)
        if not self._is_llama:
            model.get_output_embeddings().register_forward_pre_hook(self._pick)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The sum of the losses, in fp32."""
        batch = batch.to(self.device.torch)
        return self._by_layers(batch) if self._is_llama else self._by_model(batch)

    @property
    def hidden_size(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest layers `run_frozen` can run once for all passes."""
        return self._find_body().frozen_layers if self._is_llama else 0

    @torch.no_grad()
    def run_frozen(self, batch: Batch) -> torch.Tensor:
        """(texts, positions, size): what goes into the lowest layer that learns."""
        return self._find_body().run_frozen(batch)

    @contextmanager
    def untouched_base(self) -> Iterator[None]:
        """Before the first step: the base without the method, which can differ by virtual tokens alone."""
        learnt = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        has_switch = not self._is_llama and hasattr(self.model, "disable_adapter")
        self._adapted = False
        try:
            with self.model.disable_adapter() if has_switch else nullcontext():
                yield
        finally:
            self._adapted = True
        if has_switch:
            # PEFT switches on whatever belongs to an adapter, also what must not learn.
            self.model.requires_grad_(False)
            for parameter in learnt:
                parameter.requires_grad_(True)

    def _by_layers(self, batch: Batch) -> torch.Tensor:
        body = self._find_body()
        picked = body.run(batch, with_prompts=self._adapted)
        return summed_cross_entropy(picked, body.head, batch.targets, DTYPES[self.precision])

    def _find_body(self) -> LlamaBody:
        """Made anew when the number format changes."""
        if self._body is None or self._body[0] != self.precision:
            self._body = None
            self._body = self.precision, LlamaBody(self.model, DTYPES[self.precision])
        return self._body[1]

    def _by_model(self, batch: Batch) -> torch.Tensor:
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
