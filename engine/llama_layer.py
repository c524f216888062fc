"""One layer of a Llama with its way back written out, for processors.

The libraries' own layer makes some sixty small operations, each of which reads and writes everything once:
on a small machine they take longer than the matrix products. Here a layer is one node of the graph: maps that
read one input are one product, whose low-rank updates (LoRA) ride in the same product; norms, rotation and
gate are computed again on the way back instead of being kept; attention goes forward in torch's fused kernel
and back in plain products, which for short texts is the faster way.

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
        if self.extra:
            wide[:, self.inputs :] = wide[:, : self.inputs] @ self.down.t()
        return wide @ self.weight.t()

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
    weight_gradient = (scaled * normed).sum(0) if weight.requires_grad else normed.new_empty(0)
    scaled = scaled * weight
    share = torch.linalg.vecdot(scaled, normed)[:, None] / hidden.shape[1]
    return scaled.addcmul_(normed, share, value=-1).mul_(inverse), weight_gradient


class Rotation:
    """Rotary positions (arXiv 2104.09864), the halves of a head as the two coordinates, as Llama has them."""

    def __init__(self, cosine: Tensor, sine: Tensor) -> None:
        """Both (positions, head size), in fp32."""
        half = cosine.shape[-1] // 2
        self.cosine, self.sine = cosine[:, None, :half], sine[:, None, :half]

    def turn(self, heads: Tensor, backwards: bool = False) -> Tensor:
        """(texts, positions, heads, size) -> the same, turned; a new tensor."""
        half = heads.shape[-1] // 2
        first, second = heads[..., :half], heads[..., half:]
        sine = -self.sine if backwards else self.sine
        turned = torch.empty_like(heads, memory_format=torch.contiguous_format)
        turned[..., :half] = first * self.cosine - second * sine
        turned[..., half:] = second * self.cosine + first * sine
        return turned


@dataclass
class LayerSizes:
    heads: int
    key_heads: int
    head_size: int
    epsilon: float

    @property
    def widths(self) -> list[int]:
        """Of queries, keys and values."""
        keys = self.key_heads * self.head_size
        return [self.heads * self.head_size, keys, keys]


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

    def __call__(self, hidden: Tensor, rotation: Rotation) -> Tensor:
        """(texts, positions, size) in fp32 -> the same."""
        for one in self.maps:
            one.refresh()
        result: Tensor = _Layer.apply(  # type: ignore[no-untyped-call]
            self, rotation, hidden, *self._parameters
        )
        return result


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: LlamaLayer, rotation: Rotation, hidden: Tensor, *parameters: Tensor
    ) -> Tensor:
        texts, positions, size = hidden.shape
        rows = hidden.reshape(-1, size)
        first, second = layer.norms
        wide = layer.attention_in.room_for(len(rows))
        inverse_1 = rms_norm(rows, first, layer.sizes.epsilon, wide[:, :size])
        query, key, value = _split_heads(layer, layer.attention_in.forward(wide), texts, rotation)
        mixed, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, True
        )
        mixed_rows = mixed.transpose(1, 2).reshape(len(rows), -1)
        middle = rows + layer.attention_out.forward(_widen(layer.attention_out, mixed_rows))

        wide = layer.gate_and_up.room_for(len(rows))
        inverse_2 = rms_norm(middle, second, layer.sizes.epsilon, wide[:, :size])
        gate_and_up = layer.gate_and_up.forward(wide)
        gate, up = gate_and_up.chunk(2, dim=1)
        inner = layer.down.room_for(len(rows))
        torch.mul(silu(gate), up, out=inner[:, : layer.down.inputs])
        result = middle + layer.down.forward(inner)

        ctx.layer, ctx.rotation, ctx.texts = layer, rotation, texts
        ctx.save_for_backward(
            rows, inverse_1, query, key, value, mixed_rows, logsumexp, middle, inverse_2, gate_and_up
        )
        return result.view(texts, positions, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        rows, inverse_1, query, key, value, mixed, logsumexp, middle, inverse_2, gate_and_up = (
            ctx.saved_tensors
        )
        layer: LlamaLayer = ctx.layer
        first, second = layer.norms
        size = rows.shape[1]
        upper = gradients[0].reshape(-1, size)

        narrow = upper.to(gate_and_up.dtype)
        gate, up = gate_and_up.chunk(2, dim=1)
        open_gate = silu(gate)
        inner = layer.down.room_for(len(rows))
        torch.mul(open_gate, up, out=inner[:, : layer.down.inputs])
        if layer.down.extra:
            inner[:, layer.down.inputs :] = inner[:, : layer.down.inputs] @ layer.down.down.t()
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
        turned = _attention_backward(layer, ctx.rotation, towards, query, key, value, mixed, logsumexp)
        wide = _norm_again(layer.attention_in, rows, inverse_1, first)
        towards, in_gradients = layer.attention_in.backward(turned, wide)
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
    if not joint.extra:
        return rows
    wide = pad(rows, (0, joint.extra))
    wide[:, joint.inputs :] = rows @ joint.down.t()
    return wide


def _norm_again(joint: JointMap, hidden: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """What `rms_norm` wrote on the way forth, with the low-rank part; nothing where nothing needs it."""
    wide = joint.room_for(len(hidden))
    if joint.learns or joint.extra:
        wide[:, : joint.inputs] = (hidden * inverse).mul_(weight)
    if joint.extra:
        wide[:, joint.inputs :] = wide[:, : joint.inputs] @ joint.down.t()
    return wide


def _split_heads(
    layer: LlamaLayer, joint: Tensor, texts: int, rotation: Rotation
) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, widths) -> queries, keys, values, each (texts, heads, positions, head size)."""
    size = layer.sizes.head_size
    query, key, value = (
        part.view(texts, -1, part.shape[1] // size, size)
        for part in torch.split(joint, layer.sizes.widths, dim=1)
    )
    turned = (rotation.turn(query), rotation.turn(key), value)
    query, key, value = (part.transpose(1, 2) for part in turned)
    return query, key, value


def _attention_backward(
    layer: LlamaLayer,
    rotation: Rotation,
    gradient: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mixed: Tensor,
    logsumexp: Tensor,
) -> Tensor:
    """(rows, heads x head size) -> (rows, widths), the gradient of the joint input map's result.

    The weights of attention are made again from their logarithmic sum, as in FlashAttention (arXiv
    2205.14135, algorithm 4), for all positions at once. Queries that share a key stand below one another.
    """
    texts, heads, positions, size = query.shape
    groups = heads // layer.sizes.key_heads
    batch = texts * layer.sizes.key_heads

    def fold(rows: Tensor) -> Tensor:
        """(texts, heads, positions, n) -> (texts x key heads, groups x positions, n)."""
        return rows.reshape(batch, groups * positions, rows.shape[-1])

    towards = gradient.view(texts, positions, heads, size).transpose(1, 2)
    result = mixed.view(texts, positions, heads, size).transpose(1, 2)
    share = (towards * result).sum(-1, keepdim=True, dtype=torch.float32)
    query_rows, towards_rows = fold(query), fold(towards)
    key_rows, value_rows = (part.reshape(batch, positions, size) for part in (key, value))

    scores = torch.bmm(query_rows, key_rows.mT).view(texts, heads, positions, positions).float()
    weights = scores.mul_(size**-0.5).sub_(logsumexp[..., None]).exp_().tril_()
    narrow = fold(weights).to(query.dtype)
    value_gradient = torch.bmm(narrow.mT, towards_rows)
    inner = torch.bmm(towards_rows, value_rows.mT).view(texts, heads, positions, positions)
    inner_gradient = fold((inner - share).mul_(weights).mul_(size**-0.5)).to(query.dtype)
    query_gradient = torch.bmm(inner_gradient, key_rows)
    key_gradient = torch.bmm(inner_gradient.mT, query_rows)

    joint = query.new_empty(texts, positions, sum(layer.sizes.widths) // size, size)
    queries = query_gradient.view(texts, heads, positions, size).transpose(1, 2)
    keys, values = (
        part.view(texts, layer.sizes.key_heads, positions, size).transpose(1, 2)
        for part in (key_gradient, value_gradient)
    )
    key_heads = layer.sizes.key_heads
    joint[:, :, :heads] = rotation.turn(queries, backwards=True)
    joint[:, :, heads : heads + key_heads] = rotation.turn(keys, backwards=True)
    joint[:, :, heads + key_heads :] = values
    return joint.view(texts * positions, -1)
