"""The weights of a Llama and of what tuning made of it, read from their folders as tensors that lie there.

Nothing is loaded that is already in the form needed: tensors in bf16 stay where the system maps their file,
which other processes share. What is in fp32 is kept in bf16 where that loses nothing. Knows how
`transformers` and PEFT name and store the parts. Whatever is not exactly as expected is None: then the
libraries themselves judge it. Does not know how a layer is computed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from engine.models.inspect import is_plain_llama

MAPS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The order of a layer's maps."""
_NORMS = ("input_layernorm", "post_attention_layernorm")
_PEFT = "base_model.model."
_LORA_KEY = re.compile(r"model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.lora_([AB])\.weight")
_LAYER_KEY = re.compile(r"model\.layers\.(\d+)\..+")


@dataclass(frozen=True)
class LlamaShape:
    """What config.json says of sizes and positions."""

    layers: int
    hidden: int
    inner: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    window: int
    epsilon: float
    is_tied: bool

    @property
    def map_sizes(self) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of each of MAPS."""
        wide, narrow = self.heads * self.head_size, self.key_heads * self.head_size
        hidden, inner = self.hidden, self.inner
        return (
            *((wide, hidden), (narrow, hidden), (narrow, hidden), (hidden, wide)),
            *((inner, hidden), (inner, hidden), (hidden, inner)),
        )


@dataclass(frozen=True)
class LayerWeights:
    """One layer: `maps` in the order of MAPS, (outputs, inputs) each; `norms` in fp32."""

    maps: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]


@dataclass(frozen=True)
class LlamaWeights:
    """A whole model."""

    shape: LlamaShape
    config: dict[str, Any]
    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Tensor

    @property
    def bytes(self) -> int:
        parts = [self.embedding, *(tensor for layer in self.layers for tensor in layer.maps)]
        return sum(part.nbytes for part in parts) + (0 if self.shape.is_tied else self.head.nbytes)


@dataclass(frozen=True)
class LowRank:
    """LoRA on every map of every layer; `up` has the scale in it. All in fp32."""

    down: tuple[tuple[Tensor, ...], ...]
    """By layer and map, (rank, inputs)."""
    up: tuple[tuple[Tensor, ...], ...]
    """By layer and map, (outputs, rank)."""

    @property
    def rank(self) -> int:
        return len(self.down[0][0])


@dataclass(frozen=True)
class Tuning:
    """What the tuned side has of its own; all empty: nothing."""

    low_rank: LowRank | None = None
    virtual: Tensor | None = None
    """(virtual tokens, hidden) in fp32: what stands before every prompt."""
    layers: dict[int, LayerWeights] = field(default_factory=dict)
    whole: LlamaWeights | None = None


class _Unexpected(Exception):  # noqa: N818 (no error: the libraries are asked instead)
    """A folder is not as this module knows them."""


def read_llama(folder: Path) -> LlamaWeights | None:
    """A model folder's weights, if it is a plain Llama."""
    try:
        config = _read_json(folder / "config.json")
        if not is_plain_llama(config) or config.get("partial_rotary_factor", 1.0) != 1.0:
            return None
        return _build(config, _read_tensors(folder))
    except _Unexpected:
        return None


def read_tuning(folder: Path, is_adapter: bool, base: LlamaWeights) -> Tuning | None:
    """What an artefact adds to its base, if it is one that our methods write."""
    if not is_adapter:
        whole = read_llama(folder)
        same = whole is not None and replace(whole.shape, is_tied=base.shape.is_tied) == base.shape
        return Tuning(whole=whole) if same else None
    try:
        config = _read_json(folder / "adapter_config.json")
        tensors = _read_tensors(folder)
        if config.get("peft_type") == "P_TUNING":
            return Tuning(virtual=_virtual_tokens(tensors, base.shape))
        return _read_lora(config, tensors, base.shape)
    except _Unexpected:
        return None


# --- files ------------------------------------------------------------------------------------------------


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _Unexpected from error
    if not isinstance(content, dict):
        raise _Unexpected
    return content


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as content:
                tensors |= {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        except Exception as error:
            # The library raises whatever the damage at hand provokes.
            raise _Unexpected from error
    return tensors


# --- a model ----------------------------------------------------------------------------------------------


def _build(config: dict[str, Any], tensors: dict[str, Tensor]) -> LlamaWeights:
    shape = _read_shape(config, has_head="lm_head.weight" in tensors)
    embedding = _weight(tensors, "model.embed_tokens.weight", (shape.vocabulary, shape.hidden))
    head = embedding
    if not shape.is_tied:
        head = _weight(tensors, "lm_head.weight", (shape.vocabulary, shape.hidden))
    layers = tuple(_layer(tensors, number, shape) for number in range(shape.layers))
    norm = _norm(tensors, "model.norm.weight", shape)
    return LlamaWeights(shape, config, embedding, layers, norm, head)


def _read_shape(config: Mapping[str, Any], has_head: bool) -> LlamaShape:
    try:
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        return LlamaShape(
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            inner=int(config["intermediate_size"]),
            heads=heads,
            key_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or hidden // heads),
            vocabulary=int(config["vocab_size"]),
            window=int(config["max_position_embeddings"]),
            epsilon=float(config.get("rms_norm_eps", 1e-6)),
            is_tied=bool(config.get("tie_word_embeddings", False)) or not has_head,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _Unexpected from error


def _layer(tensors: Mapping[str, Tensor], number: int, shape: LlamaShape) -> LayerWeights:
    maps = [
        _weight(tensors, f"model.layers.{number}.{_place(name)}.weight", size)
        for name, size in zip(MAPS, shape.map_sizes, strict=True)
    ]
    norms = [_norm(tensors, f"model.layers.{number}.{name}.weight", shape) for name in _NORMS]
    return LayerWeights(tuple(maps), tuple(norms))


def _place(name: str) -> str:
    return f"self_attn.{name}" if name in MAPS[:4] else f"mlp.{name}"


def _norm(tensors: Mapping[str, Tensor], name: str, shape: LlamaShape) -> Tensor:
    return _weight(tensors, name, (shape.hidden,)).float()


def _weight(tensors: Mapping[str, Tensor], name: str, size: tuple[int, ...]) -> Tensor:
    """In bf16 if that loses nothing, else in fp32."""
    tensor = tensors.get(name)
    if tensor is None or tuple(tensor.shape) != size or not tensor.is_floating_point():
        raise _Unexpected
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous()
    exact = tensor.float().contiguous()
    brief = exact.bfloat16()
    return brief if torch.equal(brief.float(), exact) else exact


# --- an adapter -------------------------------------------------------------------------------------------


def _virtual_tokens(tensors: Mapping[str, Tensor], shape: LlamaShape) -> Tensor:
    virtual = tensors.get("prompt_embeddings")
    if len(tensors) != 1 or virtual is None or virtual.dim() != 2 or virtual.shape[1] != shape.hidden:
        raise _Unexpected
    return virtual.float()


def _read_lora(config: Mapping[str, Any], tensors: Mapping[str, Tensor], shape: LlamaShape) -> Tuning:
    changed = ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "lora_bias")
    if any(config.get(key) for key in changed) or config.get("bias", "none") != "none":
        raise _Unexpected
    if not all(name.startswith(_PEFT) for name in tensors):
        raise _Unexpected
    named = {name.removeprefix(_PEFT): tensor for name, tensor in tensors.items()}
    parts = {found.groups(): named.pop(name) for name in list(named) if (found := _LORA_KEY.fullmatch(name))}
    return Tuning(low_rank=_low_rank(config, parts, shape), layers=_own_layers(config, named, shape))


def _low_rank(
    config: Mapping[str, Any], parts: dict[tuple[str, ...], Tensor], shape: LlamaShape
) -> LowRank | None:
    downs, ups = ({key[:2] for key in parts if key[2] == kind} for kind in ("A", "B"))
    if not parts or downs != ups:
        raise _Unexpected
    if not any(bool(part.any()) for (_, _, kind), part in parts.items() if kind == "B"):
        # What PEFT's format asks of `last-layers`: it adds nothing.
        return None
    try:
        scale = float(config["lora_alpha"]) / int(config["r"])
        down, up = (
            tuple(tuple(parts.pop((str(layer), name, kind)).float() for name in MAPS)
                  for layer in range(shape.layers))
            for kind in ("A", "B")
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise _Unexpected from error
    rank = int(config["r"])
    fits = all(
        tuple(a.shape) == (rank, inputs) and tuple(b.shape) == (outputs, rank)
        for lows, ups in zip(down, up, strict=True)
        for a, b, (outputs, inputs) in zip(lows, ups, shape.map_sizes, strict=True)
    )
    if parts or not fits:
        raise _Unexpected
    return LowRank(down, tuple(tuple(part * scale for part in layer) for layer in up))


def _own_layers(
    config: Mapping[str, Any], named: Mapping[str, Tensor], shape: LlamaShape
) -> dict[int, LayerWeights]:
    """The learnt layers that travel as `modules_to_save`: the last ones, whole."""
    found = [_LAYER_KEY.fullmatch(name) for name in named]
    numbers = sorted({int(match[1]) for match in found if match})
    expected = {f"layers.{number}" for number in numbers}
    is_last = numbers == list(range(shape.layers - len(numbers), shape.layers))
    if None in found or not is_last or set(config.get("modules_to_save") or ()) != expected:
        raise _Unexpected
    if len(named) != len(numbers) * (len(MAPS) + len(_NORMS)):
        raise _Unexpected
    return {number: _layer(named, number, shape) for number in numbers}
