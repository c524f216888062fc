"""One layer of a Llama with its way back written out, for processors.

The libraries' own layer makes some sixty small operations, each of which reads and writes everything once:
on a small machine they take longer than the matrix products. Here a layer is one node of the graph: maps that
read one input are one product, whose low-rank updates (LoRA) ride in the same product; norms, rotation and
gate and the weights of attention are computed again on the way back instead of being kept; attention is plain
products, which for texts of this length are faster than torch's fused kernel, and much so on the way back.

Knows tensors and the formulas of Llama (arXiv 2302.13971): RMSNorm, rotary positions, grouped queries,
SwiGLU. Does not know transformers' modules, methods or batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, silu

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

    The weights lie side by side in `dtype`: [W | scale B], one row for each output. A frozen weight is
    written once, one that learns before every use.
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

    @property
    def parameters(self) -> list[Tensor]:
        """What may learn, in the order of the gradients of `backward`."""
        found = [one.weight for one in self.maps]
        for one in self.maps:
            found += [part for part in (one.down, one.up) if part is not None]
        return found

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what has been learnt since the last use."""
        if self.learns:
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
            self.weight[row : row + outputs, : self.inputs] = one.weight
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
            wide[:, self.inputs :] = wide[:, : self.inputs] @ self.down.t()
        return wide

    def backward(self, gradient: Tensor, wide: Tensor) -> tuple[Tensor, Gradients]:
        """Gradient of the input (rows, inputs), and of each of `parameters`, None for what does not learn."""
        widened = gradient @ self.weight
        towards = widened[:, : self.inputs]
        found: Gradients = [None] * len(self.maps)
        if self.learns:
            whole = (gradient.t() @ wide[:, : self.inputs]).float()
            parts = torch.split(whole, self.outputs)
            found = [
                part if one.weight.requires_grad else None for one, part in zip(self.maps, parts, strict=True)
            ]
        if self.extra:
            inner = widened[:, self.inputs :].contiguous()
            down = (inner.t() @ wide[:, : self.inputs]).float()
            up = (gradient.t() @ wide[:, self.inputs :].contiguous()).float()
            towards = torch.addmm(towards, inner, self.down)
            row, column = 0, 0
            for one, outputs, rank in zip(self.maps, self.outputs, self.ranks, strict=True):
                if rank:
                    found.append(down[column : column + rank])
                    found.append(up[row : row + outputs, column : column + rank] * one.scale)
                row, column = row + outputs, column + rank
        return towards, found


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float, out: Tensor) -> Tensor:
    """Write the normed rows of `hidden` (rows, size) into `out`; the inverse root mean square, (rows, 1).

    RMSNorm (arXiv 1910.07467), in fp32.
    """
    square = torch.linalg.vecdot(hidden, hidden)[:, None]
    inverse = torch.rsqrt(square / hidden.shape[1] + epsilon)
    out.copy_((hidden * inverse).mul_(weight))
    return inverse


def rms_norm_backward(
    gradient: Tensor, hidden: Tensor, inverse: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the rows (rows, size) and of the weight (size), both in fp32."""
    normed = hidden * inverse
    scaled = gradient.float()
    along = scaled * normed
    weight_gradient = along.sum(0) if weight.requires_grad else normed.new_empty(0)
    share = (along @ weight)[:, None].div_(-hidden.shape[1])
    return (scaled * weight).addcmul_(normed, share).mul_(inverse), weight_gradient


@dataclass
class LayerSizes:
    heads: int
    key_heads: int
    head_size: int
    epsilon: float

    @property
    def shares(self) -> list[int]:
        """Heads of queries, keys and values, as they lie side by side."""
        return [self.heads, self.key_heads, self.key_heads]

    @property
    def turning(self) -> int:
        """Heads that are turned by their position: of queries and keys."""
        return self.heads + self.key_heads


class Positions:
    """What depends on the length of the texts alone: the turns of queries and keys, and who sees whom.

    Rotary positions (arXiv 2104.09864), the halves of a head as the two coordinates, as Llama has them.
    """

    def __init__(self, sizes: LayerSizes, cosine: Tensor, sine: Tensor) -> None:
        """Both (positions, head size), in fp32."""
        self._half = sizes.head_size // 2
        # The scores' scale goes along with the queries.
        scale = torch.ones(sizes.turning, 1)
        scale[: sizes.heads] = sizes.head_size**-0.5
        self._cosine = cosine[:, None] * scale
        self._sine = sine[:, None, : self._half] * scale
        self.mask = torch.full((len(cosine), len(cosine)), -torch.inf).triu_(diagonal=1)

    def turn(self, heads: Tensor, backwards: bool = False) -> Tensor:
        """(texts, positions, heads of queries and of keys, head size), in fp32 -> the same, turned."""
        first, second = heads[..., : self._half], heads[..., self._half :]
        sign = -1 if backwards else 1
        turned = heads * self._cosine
        turned[..., : self._half].addcmul_(second, self._sine, value=-sign)
        turned[..., self._half :].addcmul_(first, self._sine, value=sign)
        return turned


class LlamaLayer:
    """The weights of one layer, ready for products in one number format."""

    def __init__(
        self,
        sizes: LayerSizes,
        norms: tuple[Tensor, Tensor],
        attention_in: JointMap,
        attention_out: JointMap,
        gate_and_up: JointMap,
        down: JointMap,
    ) -> None:
        self.sizes = sizes
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

    def __call__(self, hidden: Tensor, positions: Positions) -> Tensor:
        """(texts, positions, size) in fp32 -> the same."""
        for one in self.maps:
            one.refresh()
        result: Tensor = _Layer.apply(  # type: ignore[no-untyped-call]
            self, positions, hidden, *self._parameters
        )
        return result


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: LlamaLayer, positions: Positions, hidden: Tensor, *parameters: Tensor
    ) -> Tensor:
        texts, size = len(hidden), hidden.shape[-1]
        rows = hidden.reshape(-1, size)
        first, second = layer.norms
        wide = layer.attention_in.room_for(len(rows))
        inverse_1 = rms_norm(rows, first, layer.sizes.epsilon, wide[:, :size])
        query, key, value = _split_heads(layer.sizes, layer.attention_in.forward(wide), texts, positions)
        weights = _attend(query, key, positions)
        mixed = _join_heads(torch.bmm(weights.to(value.dtype), value), layer.sizes, texts)
        middle = rows + layer.attention_out.forward(_widen(layer.attention_out, mixed))

        wide = layer.gate_and_up.room_for(len(rows))
        inverse_2 = rms_norm(middle, second, layer.sizes.epsilon, wide[:, :size])
        gate_and_up = layer.gate_and_up.forward(wide)
        gate, up = gate_and_up.chunk(2, dim=1)
        inner = layer.down.room_for(len(rows))
        torch.mul(silu(gate), up, out=inner[:, : layer.down.inputs])
        result = middle + layer.down.forward(inner)

        ctx.layer, ctx.positions, ctx.texts = layer, positions, texts
        ctx.save_for_backward(rows, inverse_1, query, key, value, mixed, middle, inverse_2, gate_and_up)
        return result.view(hidden.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        rows, inverse_1, query, key, value, mixed, middle, inverse_2, gate_and_up = ctx.saved_tensors
        layer: LlamaLayer = ctx.layer
        first, second = layer.norms
        size = rows.shape[1]
        upper = gradients[0].reshape(-1, size)

        narrow = upper.to(gate_and_up.dtype)
        gate, up = gate_and_up.chunk(2, dim=1)
        open_gate = silu(gate)
        inner = layer.down.room_for(len(rows))
        torch.mul(open_gate, up, out=inner[:, : layer.down.inputs])
        layer.down.complete(inner)
        towards_inner, down_gradients = layer.down.backward(narrow, inner)
        both = torch.empty_like(gate_and_up)
        torch.mul(towards_inner, open_gate, out=both[:, gate.shape[1] :])
        torch.ops.aten.silu_backward.grad_input(towards_inner * up, gate, grad_input=both[:, : gate.shape[1]])
        wide = _norm_again(layer.gate_and_up, middle, inverse_2, second)
        towards, gate_gradients = layer.gate_and_up.backward(both, wide)
        middle_gradient, second_gradient = rms_norm_backward(towards, middle, inverse_2, second)
        middle_gradient += upper

        narrow = middle_gradient.to(gate_and_up.dtype)
        towards, out_gradients = layer.attention_out.backward(narrow, _widen(layer.attention_out, mixed))
        joint = _attention_backward(layer.sizes, ctx.positions, towards, query, key, value)
        wide = _norm_again(layer.attention_in, rows, inverse_1, first)
        towards, in_gradients = layer.attention_in.backward(joint, wide)
        lower, first_gradient = rms_norm_backward(towards, rows, inverse_1, first)
        lower += middle_gradient
        norm_gradients = [
            gradient if norm.requires_grad else None
            for norm, gradient in zip(layer.norms, (first_gradient, second_gradient), strict=True)
        ]
        return (
            None,
            None,
            lower.view(gradients[0].shape),
            *norm_gradients,
            *in_gradients,
            *out_gradients,
            *gate_gradients,
            *down_gradients,
        )


def _widen(joint: JointMap, rows: Tensor) -> Tensor:
    """The rows with room for the low-rank part, filled."""
    return joint.complete(pad(rows, (0, joint.extra))) if joint.extra else rows


def _norm_again(joint: JointMap, hidden: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """What `rms_norm` wrote on the way forth, with the low-rank part; nothing where nothing needs it."""
    wide = joint.room_for(len(hidden))
    if joint.learns or joint.extra:
        wide[:, : joint.inputs] = (hidden * inverse).mul_(weight)
        joint.complete(wide)
    return wide


def _split_heads(
    sizes: LayerSizes, joint: Tensor, texts: int, positions: Positions
) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, widths) -> queries (texts x key heads, groups x positions, head size); keys and values alike.

    Queries that share a key stand below one another; queries and keys are turned.
    """
    apart = joint.view(texts, -1, sum(sizes.shares), sizes.head_size)
    turning, value = torch.split(apart, [sizes.turning, sizes.key_heads], dim=2)
    query, key = torch.split(positions.turn(turning.float()), sizes.shares[:2], dim=2)
    query, key, value = (
        part.transpose(1, 2)
        .to(joint.dtype, memory_format=torch.contiguous_format)
        .reshape(texts * sizes.key_heads, -1, sizes.head_size)
        for part in (query, key, value)
    )
    return query, key, value


def _attend(query: Tensor, key: Tensor, positions: Positions) -> Tensor:
    """The weights of attention, (texts x key heads, groups x positions, positions), in fp32."""
    scores = torch.bmm(query, key.mT).view(len(query), -1, *positions.mask.shape).float()
    weights: Tensor = scores.add_(positions.mask).softmax(-1)
    return weights.view(len(query), -1, len(positions.mask))


def _join_heads(heads: Tensor, sizes: LayerSizes, texts: int) -> Tensor:
    """(texts x key heads, groups x positions, head size) -> (rows, heads x head size)."""
    apart = heads.view(texts, sizes.heads, -1, sizes.head_size)
    return apart.transpose(1, 2).reshape(-1, sizes.heads * sizes.head_size)


def _attention_backward(
    sizes: LayerSizes, positions: Positions, gradient: Tensor, query: Tensor, key: Tensor, value: Tensor
) -> Tensor:
    """(rows, heads x head size) -> (rows, widths), the gradient of what `_split_heads` was given."""
    length = len(positions.mask)
    texts = len(gradient) // length
    apart = gradient.view(texts, length, sizes.heads, sizes.head_size).transpose(1, 2)
    towards = apart.reshape(query.shape)
    weights = _attend(query, key, positions)
    value_gradient = torch.bmm(weights.to(value.dtype).mT, towards)
    inner = torch.bmm(towards, value.mT).float().mul_(weights)
    # The way back through a softmax: what all weights of a row have in common changes nothing.
    scores = inner.addcmul_(weights, inner.sum(-1, keepdim=True), value=-1).to(query.dtype)
    query_gradient = torch.bmm(scores, key)
    key_gradient = torch.bmm(scores.mT, query)

    joint = gradient.new_empty(texts, length, sum(sizes.shares), sizes.head_size)
    turned, value_part = torch.split(joint, [sizes.turning, sizes.key_heads], dim=2)
    value_part.copy_(_by_position(value_gradient, texts, length))
    both = [_by_position(part, texts, length).float() for part in (query_gradient, key_gradient)]
    turned.copy_(positions.turn(torch.cat(both, dim=2), backwards=True))
    return joint.view(texts * length, -1)


def _by_position(heads: Tensor, texts: int, length: int) -> Tensor:
    """(texts x key heads, groups x positions, head size) -> (texts, positions, heads, head size), a view."""
    return heads.view(texts, -1, length, heads.shape[-1]).transpose(1, 2)
