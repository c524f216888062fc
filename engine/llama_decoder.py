"""A plain Llama that decodes on the processor: both sides of a run in one pass over the weights they share.

All is computed in fp32 from weights that are exactly those of the files, so logits are those of the stock
model in fp32 up to rounding (some 1e-5). Up to which layer the sides share a pass depends on the method: with
LoRA, whose part is added to the tuned rows alone, and with p-tuning, whose virtual tokens are only another
beginning, all of them; with last layers those below; with all layers none.

Knows weights and pages. Does not know files, answers or how a token is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine import decode_kernels
from engine.decode_kernels import Layers, Places
from engine.kernels import norm, swiglu
from engine.kv_cache import CacheShape, PageCache, Text, pages_for
from engine.llama_weights import MAPS, LayerWeights, LlamaWeights, LowRank, Tuning

FEW_ROWS = 16
"""So many rows at most are computed by our own loops, which read each weight once and use it for every row.

More are computed by torch's products, for which weights are widened to fp32 block by block. With 135M
parameters and AVX-512 a pass of 1, 4, 8, 16 rows takes one core 24, 31, 64, 110 ms in the loops, and one of
4, 8, 16, 40 rows 97, 120, 126, 180 ms in the products.
"""
_BLOCK_BYTES = 2**21
"""Of widened weights: they are still near when the product reads them."""


@dataclass(frozen=True)
class Tokens:
    """The rows of one pass, base before tuned; a text's in the order of its positions."""

    ids: NDArray[np.int64]
    """A negative one is the virtual token of number -1 - id."""
    texts: Sequence[Text]
    text_of: NDArray[np.int32]
    position_of: NDArray[np.int32]
    first_tuned: int
    wanted: Sequence[int]
    """Of these rows the logits are asked."""


class LlamaDecoder:
    """Both sides' weights, and the pages of what they have read."""

    def __init__(self, base: LlamaWeights, tuning: Tuning | None, cache_bytes: int) -> None:
        self.shape = base.shape
        self._base = base
        self._tuned = (tuning and tuning.whole) or base
        self.virtual = tuning.virtual if tuning else None
        self._low_rank = tuning.low_rank if tuning else None
        own = tuning.layers if tuning else {}
        self._layers = _LayerTables(base.layers, self.shape, self._low_rank)
        tuned_layers = [own.get(number, layer) for number, layer in enumerate(self._tuned.layers)]
        self._tuned_layers = _LayerTables(tuned_layers, self.shape, self._low_rank)
        self._split = 0 if self._tuned is not base else min(own, default=self.shape.layers)
        shape = CacheShape(self.shape.layers, self.shape.key_heads, self.shape.head_size)
        window = self.shape.window * shape.position_bytes
        self.cache = PageCache(shape, pages_for(max(cache_bytes, window) // shape.position_bytes + 1))
        self._rotary = _Rotary(base)
        decode_kernels.load()

    @property
    def bytes(self) -> int:
        own = self._tuned.bytes if self._tuned is not self._base else 0
        return self._base.bytes + own

    def forward(self, tokens: Tokens) -> Tensor:
        """(wanted, vocabulary) in fp32; keys and values of all rows are in the pages then."""
        hidden = self._embed(tokens)
        first_tuned = tokens.first_tuned
        places = self._places(tokens)
        self._run(hidden, self._layers, 0, self._split, first_tuned, places)
        for layers, rows in (
            (self._layers, slice(0, first_tuned)),
            (self._tuned_layers, slice(first_tuned, len(hidden))),
        ):
            if rows.start < rows.stop and self._split < self.shape.layers:
                its = places._replace(text_of=places.text_of[rows], position_of=places.position_of[rows])
                self._run(hidden[rows], layers, self._split, self.shape.layers, len(hidden), its)
        return self._logits(hidden, tokens)

    # --- parts of a pass ----------------------------------------------------------------------------------

    def _embed(self, tokens: Tokens) -> Tensor:
        ids = torch.from_numpy(tokens.ids)
        hidden = torch.empty(len(ids), self.shape.hidden)
        for model, rows in (
            (self._base, slice(0, tokens.first_tuned)),
            (self._tuned, slice(tokens.first_tuned, len(ids))),
        ):
            hidden[rows] = model.embedding[ids[rows].clamp(min=0)].float()
        is_virtual = ids < 0
        if self.virtual is not None and bool(is_virtual.any()):
            hidden[is_virtual] = self.virtual[-1 - ids[is_virtual]]
        return hidden

    def _places(self, tokens: Tokens) -> Places:
        longest = max(len(text.pages) for text in tokens.texts)
        tables = np.zeros((len(tokens.texts), longest), np.int32)
        for number, text in enumerate(tokens.texts):
            tables[number, : len(text.pages)] = text.pages
        cosine, sine = self._rotary.angles(int(tokens.position_of.max()) + 1)
        return Places(tables, tokens.text_of, tokens.position_of, cosine, sine)

    def _run(
        self, hidden: Tensor, layers: "_LayerTables", first: int, last: int, first_tuned: int, places: Places
    ) -> None:
        if first == last:
            return
        pages = self.cache.pages
        if len(hidden) <= FEW_ROWS:
            decode_kernels.run_layers(hidden.numpy(), layers.table, first, last, first_tuned, pages, places)
            return
        for layer in range(first, last):
            self._run_wide(hidden, layers, layer, first_tuned, places)

    def _run_wide(
        self, hidden: Tensor, layers: "_LayerTables", layer: int, first_tuned: int, places: Places
    ) -> None:
        """One layer of many rows, in place."""
        shape, maps, rows = self.shape, layers.layers[layer], len(hidden)
        epsilon = shape.epsilon
        normed = torch.empty_like(hidden)
        low_rank = self._low_rank

        def product(inputs: Tensor, which: Sequence[int]) -> Tensor:
            out = torch.empty(rows, sum(len(maps.maps[number]) for number in which))
            column = 0
            for number in which:
                weight = maps.maps[number]
                there = out[:, column : column + len(weight)]
                _product(inputs, weight, there)
                if low_rank is not None and first_tuned < rows:
                    low = inputs[first_tuned:] @ low_rank.down[layer][number].t()
                    there[first_tuned:] += low @ low_rank.up[layer][number].t()
                column += len(weight)
            return out

        norm(hidden, maps.norms[0], epsilon, normed)
        joint = product(normed, (0, 1, 2))
        mixed = torch.empty(rows, shape.heads * shape.head_size)
        decode_kernels.attend(joint.numpy(), layer, shape.heads, self.cache.pages, places, mixed.numpy())
        hidden += product(mixed, (3,))
        norm(hidden, maps.norms[1], epsilon, normed)
        gated = torch.empty(rows, shape.inner)
        swiglu(product(normed, (4, 5)), gated)
        hidden += product(gated, (6,))

    def _logits(self, hidden: Tensor, tokens: Tokens) -> Tensor:
        wanted = torch.tensor(tokens.wanted, dtype=torch.int64)
        logits = torch.empty(len(wanted), self.shape.vocabulary)
        first_tuned = len(wanted)
        if self._tuned is not self._base:
            first_tuned = int((wanted < tokens.first_tuned).sum())
        for model, rows in (
            (self._base, slice(0, first_tuned)),
            (self._tuned, slice(first_tuned, len(wanted))),
        ):
            if rows.start < rows.stop:
                _project(self._normed(hidden[wanted[rows]], model), model.head, logits[rows])
        return logits

    def _normed(self, hidden: Tensor, model: LlamaWeights) -> Tensor:
        normed = torch.empty_like(hidden)
        norm(hidden, model.norm, self.shape.epsilon, normed)
        return normed


def _project(normed: Tensor, weight: Tensor, out: Tensor) -> None:
    if len(normed) <= FEW_ROWS:
        is_brief = weight.dtype == torch.bfloat16
        decode_kernels.project(normed.numpy(), weight.data_ptr(), is_brief, out.numpy())
    else:
        _product(normed, weight, out)


def _product(inputs: Tensor, weight: Tensor, out: Tensor) -> None:
    """inputs (rows, inputs) times weight (outputs, inputs), transposed, into `out`, all in fp32."""
    if weight.dtype == torch.float32:
        torch.mm(inputs, weight.t(), out=out)
        return
    block = max(1, _BLOCK_BYTES // (4 * weight.shape[1]))
    wide = torch.empty(min(block, len(weight)), weight.shape[1])
    for begin in range(0, len(weight), block):
        part = weight[begin : begin + block]
        widened = wide[: len(part)].copy_(part)
        torch.mm(inputs, widened.t(), out=out[:, begin : begin + block])


class _LayerTables:
    """Layers as the loops read them, and what they point to."""

    def __init__(self, layers: Sequence[LayerWeights], base: Any, low_rank: LowRank | None) -> None:
        self.layers = layers
        self._low_rank = low_rank
        nothing = np.zeros((len(layers), len(MAPS)), np.int64)
        self.table = Layers(
            weights=_addresses([layer.maps for layer in layers]),
            is_brief=np.array([[part.dtype == torch.bfloat16 for part in layer.maps] for layer in layers]),
            norms=torch.stack([torch.stack(layer.norms) for layer in layers]).numpy(),
            down=_addresses(low_rank.down) if low_rank else nothing,
            up=_addresses(low_rank.up) if low_rank else nothing,
            rank=low_rank.rank if low_rank else 0,
            heads=base.heads,
            inner=base.inner,
            epsilon=np.float32(base.epsilon),
        )


def _addresses(tensors: Sequence[Sequence[Tensor]]) -> NDArray[np.int64]:
    return np.array([[tensor.data_ptr() for tensor in some] for some in tensors], np.int64)


class _Rotary:
    """Cosine and sine by position (arXiv 2104.09864), as far as they were asked for."""

    def __init__(self, model: LlamaWeights) -> None:
        self._frequencies, self._scale = _frequencies(model)
        self._angles = self._compute(0)

    def angles(self, positions: int) -> tuple[Any, Any]:
        """(at least positions, half a head) each, in fp32."""
        if len(self._angles[0]) < positions:
            self._angles = self._compute(2 * positions)
        return self._angles

    def _compute(self, positions: int) -> tuple[Any, Any]:
        angles = torch.arange(positions).float()[:, None] * self._frequencies
        return (angles.cos() * self._scale).numpy(), (angles.sin() * self._scale).numpy()


def _frequencies(model: LlamaWeights) -> tuple[Tensor, float]:
    """Of a half's places, and what cosine and sine are multiplied by."""
    config, size = model.config, model.shape.head_size
    rotation = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rotation.get("rope_type", rotation.get("type", "default")) == "default":
        base = float(rotation.get("rope_theta") or config.get("rope_theta") or 10_000.0)
        return 1.0 / base ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size), 1.0
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    rotary: Any = LlamaRotaryEmbedding(LlamaConfig.from_dict(config))
    return rotary.inv_freq.float(), float(rotary.attention_scaling)
