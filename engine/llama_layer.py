"""One layer of a Llama with its way back written out, for processors.

The libraries' own layer makes some sixty small operations, each of which reads and writes everything once:
on a small machine they take longer than the matrix products. Here a layer is one node of the graph: maps that
read one input are one product, whose low-rank updates (LoRA) ride in the same product; norms and gate are
computed again on the way back instead of being kept.

Knows tensors and the formulas of Llama (arXiv 2302.13971): RMSNorm, SwiGLU, and where attention comes in.
Does not know transformers' modules, methods or batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from engine.attention import Attention
from engine.kernels import norm, norm_backward, swiglu, swiglu_backward

Gradients = list[Tensor | None]


@dataclass(frozen=True)
class Map:
    """One linear map without a bias: `weight` (outputs, inputs), and its low-rank update if it has one."""

    weight: Tensor
    down: Tensor | None = None
    """LoRA's A, (rank, inputs)."""
    up: Tensor | None = None
    """LoRA's B, (outputs, rank)."""
    scale: float = 1.0


class JointMap:
    """Maps that read the same input, as one product; the sum of their ranks is `extra` (0 without LoRA).

    The weights lie side by side in `dtype`: [W | scale B], one row for each output. Those that are in `dtype`
    already move in: each becomes a view of its part, so that nothing is kept twice. Of any other a copy
    stands here, written once if it is frozen, before every use if it learns.
    """

    def __init__(self, maps: Sequence[Map], dtype: torch.dtype) -> None:
        self.maps = maps
        self.inputs = maps[0].weight.shape[1]
        self.outputs = [one.weight.shape[0] for one in maps]
        self.ranks = [0 if one.down is None else one.down.shape[0] for one in maps]
        self.extra = sum(self.ranks)
        self.learns = any(one.weight.requires_grad for one in maps)
        shape = (sum(self.outputs), self.inputs + self.extra)
        self.weight = torch.zeros(shape, dtype=dtype)
        self.down = torch.empty(self.extra, self.inputs, dtype=dtype)
        self._write_weights()
        self._outdates = self.learns and any(one.weight.dtype != dtype for one in maps)

    @property
    def parameters(self) -> list[Tensor]:
        """What may learn, in the order of the gradients of `backward`."""
        found = [one.weight for one in self.maps]
        for one in self.maps:
            found += [part for part in (one.down, one.up) if part is not None]
        return found

    @property
    def left_behind(self) -> list[Tensor]:
        """Frozen weights of which a copy stands here: they are not read again."""
        kept = self.weight.dtype
        return [one.weight for one in self.maps if not one.weight.requires_grad and one.weight.dtype != kept]

    @property
    def needs_input(self) -> bool:
        """Whether `backward` reads what went in."""
        return self.learns or self.extra > 0

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what has been learnt since the last use."""
        if self._outdates:
            self._write_weights()
        row, column = 0, 0
        for one, outputs, rank in zip(self.maps, self.outputs, self.ranks, strict=True):
            if one.down is not None and one.up is not None:
                self.down[column : column + rank] = one.down
                place = self.weight[row : row + outputs, self.inputs + column :][:, :rank]
                torch.mul(one.up, one.scale, out=place)
            row, column = row + outputs, column + rank

    @torch.no_grad()
    def _write_weights(self) -> None:
        row = 0
        for one, outputs in zip(self.maps, self.outputs, strict=True):
            place = self.weight[row : row + outputs, : self.inputs]
            place.copy_(one.weight)
            if one.weight.dtype == place.dtype:
                one.weight.data = place
            row += outputs

    def room_for(self, rows: int) -> Tensor:
        """An empty input (rows, inputs + extra); the caller fills the first `inputs` columns."""
        return self.weight.new_empty(rows, self.inputs + self.extra)

    def forward(self, wide: Tensor) -> Tensor:
        """(rows, inputs + extra), filled by the caller up to `inputs` -> (rows, outputs)."""
        return self.complete(wide) @ self.weight.t()

    def complete(self, wide: Tensor) -> Tensor:
        """Fill the columns of the low-rank part from the first `inputs`; the same tensor."""
        if self.extra:
            torch.mm(wide[:, : self.inputs], self.down.t(), out=wide[:, self.inputs :])
        return wide

    def backward(self, gradient: Tensor, wide: Tensor, lowest: bool = False) -> tuple[Tensor, Gradients]:
        """Gradient of the input (rows, at least inputs), and of each of `parameters`, None if frozen.

        At the `lowest` map of all nobody asks for the first, and it is not there.
        """
        skipped = self.inputs if lowest else 0
        widened = gradient @ self.weight[:, skipped:]
        towards, inner = torch.split(widened, [self.inputs - skipped, self.extra], dim=1)
        found: Gradients = [None] * len(self.maps)
        if self.learns:
            whole = (gradient.t() @ wide[:, : self.inputs]).float()
            parts = torch.split(whole, self.outputs)
            found = [
                part if one.weight.requires_grad else None for one, part in zip(self.maps, parts, strict=True)
            ]
        if self.extra:
            inner = inner.contiguous()
            low = wide[:, self.inputs :].contiguous()
            down = (inner.t() @ wide[:, : self.inputs]).float()
            if not lowest:
                towards.addmm_(inner, self.down)
            row, column = 0, 0
            for one, outputs, rank in zip(self.maps, self.outputs, self.ranks, strict=True):
                if rank:
                    up = gradient[:, row : row + outputs].t() @ low[:, column : column + rank]
                    found += [down[column : column + rank], up.float().mul_(one.scale)]
                row, column = row + outputs, column + rank
        return widened, found


class LlamaLayer:
    """The weights of one layer, ready for products in one number format."""

    def __init__(
        self,
        epsilon: float,
        norms: tuple[Tensor, Tensor],
        attention_in: JointMap,
        attention_out: JointMap,
        gate_and_up: JointMap,
        down: JointMap,
    ) -> None:
        self.epsilon = epsilon
        self.norms = norms
        self.attention_in, self.attention_out = attention_in, attention_out
        self.gate_and_up, self.down = gate_and_up, down

    @property
    def maps(self) -> tuple[JointMap, ...]:
        return (self.attention_in, self.attention_out, self.gate_and_up, self.down)

    @property
    def learns(self) -> bool:
        return any(one.requires_grad for one in self._parameters)

    @property
    def _parameters(self) -> list[Tensor]:
        return [*self.norms, *(part for one in self.maps for part in one.parameters)]

    def __call__(self, rows: Tensor, attention: Attention) -> Tensor:
        """(rows, size) in fp32 -> (rows that are wanted of attention, size)."""
        for one in self.maps:
            one.refresh()
        result: Tensor = _Layer.apply(  # type: ignore[no-untyped-call]
            self, attention, rows, *self._parameters
        )
        return result


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: LlamaLayer, attention: Attention, rows: Tensor, *parameters: Tensor
    ) -> Tensor:
        first, second = layer.norms
        wide = layer.attention_in.room_for(len(rows))
        norm(rows, first, layer.epsilon, wide)
        mixed, heads = attention.forward(layer.attention_in.forward(wide))
        wanted = rows if attention.wanted is None else rows.index_select(0, attention.wanted)
        middle = wanted + layer.attention_out.forward(_widen(layer.attention_out, mixed))

        wide = layer.gate_and_up.room_for(len(middle))
        norm(middle, second, layer.epsilon, wide)
        gate_and_up = layer.gate_and_up.forward(wide)
        inner = layer.down.room_for(len(middle))
        swiglu(gate_and_up, inner)
        result = middle + layer.down.forward(inner)

        ctx.layer, ctx.attention = layer, attention
        ctx.save_for_backward(rows, *heads, mixed, middle, gate_and_up)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        rows, query, key, value, mixed, middle, gate_and_up = ctx.saved_tensors
        layer: LlamaLayer = ctx.layer
        attention: Attention = ctx.attention
        first, second = layer.norms
        upper = gradients[0]

        narrow = upper.to(gate_and_up.dtype)
        inner = layer.down.room_for(len(middle))
        if layer.down.needs_input:
            swiglu(gate_and_up, inner)
            layer.down.complete(inner)
        towards, down_gradients = layer.down.backward(narrow, inner)
        both = swiglu_backward(towards, gate_and_up)
        wide = _norm_again(layer.gate_and_up, middle, second, layer.epsilon)
        towards, gate_gradients = layer.gate_and_up.backward(both, wide)
        middle_gradient, second_gradient = norm_backward(towards, middle, second, layer.epsilon, upper)

        narrow = middle_gradient.to(gate_and_up.dtype)
        towards, out_gradients = layer.attention_out.backward(narrow, _widen(layer.attention_out, mixed))
        joint = attention.backward(towards[:, : layer.attention_out.inputs], query, key, value)
        wide = _norm_again(layer.attention_in, rows, first, layer.epsilon)
        # Below the lowest layer of a frozen embedding, with its norm frozen, nothing learns.
        lowest = not (ctx.needs_input_grad[2] or first.requires_grad)
        towards, in_gradients = layer.attention_in.backward(joint, wide, lowest)
        lower, first_gradient = None, None
        if not lowest:
            besides = middle_gradient if attention.wanted is None else None
            lower, first_gradient = norm_backward(towards, rows, first, layer.epsilon, besides)
            if attention.wanted is not None:
                lower.index_add_(0, attention.wanted, middle_gradient)
        norm_gradients = [
            gradient if norm.requires_grad else None
            for norm, gradient in zip(layer.norms, (first_gradient, second_gradient), strict=True)
        ]
        return (
            None,
            None,
            lower,
            *norm_gradients,
            *in_gradients,
            *out_gradients,
            *gate_gradients,
            *down_gradients,
        )


def _widen(joint: JointMap, rows: Tensor) -> Tensor:
    """The rows with room for the low-rank part, filled."""
    return joint.complete(pad(rows, (0, joint.extra))) if joint.extra else rows


def _norm_again(joint: JointMap, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """What the norm wrote on the way forth, with the low-rank part; nothing where nothing needs it."""
    wide = joint.room_for(len(hidden))
    if joint.needs_input:
        norm(hidden, weight, epsilon, wide)
        joint.complete(wide)
    return wide
