"""The kinds of model that the four methods can tune: their sizes, and the tensors that they consist of.

Decoders whose layers are called `model.layers.N`, with projections called q, k, v, o, gate, up and down, of
which phi3 keeps q, k, v and gate, up in one piece each. What `transformers` 5.23 assumes of each kind where
its config.json says nothing is written down here, from the `configuration_*.py` of that version.

Reads a config.json. Does not know files of weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.models.folder import unusable

Shape = tuple[int, ...]
_PLAIN_NORMS = ("input_layernorm", "post_attention_layernorm")
_GEMMA_NORMS = (*_PLAIN_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")
_MOST = {
    "num_hidden_layers": 1_000,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_attention_heads": 1 << 12,
    "num_key_value_heads": 1 << 12,
    "head_dim": 1 << 12,
    "vocab_size": 1 << 24,
    "max_position_embeddings": 1 << 31,
}
"""More than any of these no model has that could be tuned here: a config.json beyond it is wrong."""


@dataclass(frozen=True)
class Architecture:
    """What distinguishes one kind from a plain Llama."""

    norms: tuple[str, ...] = _PLAIN_NORMS
    """Of a layer, over the hidden size."""
    query_norm: str = ""
    """"head": queries and keys are normed head by head; "all": over all heads; "": they are not."""
    fused: bool = False
    """Whether q, k, v are one projection, and gate and up another."""
    biases: str = "attention_bias"
    """The key of config.json that gives q, k, v and o a bias; "qkv": q, k and v have one; "": none has."""
    mlp_bias: bool = False
    """Whether config.json may ask for a bias of gate, up and down."""
    assumed: Mapping[str, Any] = field(default_factory=dict)
    """Values of config.json where it is silent, if it is not what a Llama takes."""


_ARCHITECTURES = {
    "llama": Architecture(mlp_bias=True),
    "mistral": Architecture(biases="", assumed={"num_key_value_heads": 8}),
    "qwen2": Architecture(biases="qkv", assumed={"num_key_value_heads": 32}),
    "qwen3": Architecture(query_norm="head", assumed={"num_key_value_heads": 32, "head_dim": 128}),
    "gemma2": Architecture(
        norms=_GEMMA_NORMS,
        assumed={"num_key_value_heads": 4, "head_dim": 256, "tie_word_embeddings": True},
    ),
    "gemma3_text": Architecture(
        norms=_GEMMA_NORMS,
        query_norm="head",
        assumed={"num_key_value_heads": 4, "head_dim": 256, "tie_word_embeddings": True},
    ),
    "granite": Architecture(mlp_bias=True),
    "smollm3": Architecture(mlp_bias=True, assumed={"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "phi3": Architecture(fused=True, biases=""),
    "olmo2": Architecture(norms=("post_attention_layernorm", "post_feedforward_layernorm"), query_norm="all"),
}
MODEL_TYPES = frozenset(_ARCHITECTURES)


@dataclass(frozen=True)
class Sizes:
    """The sizes in a config.json, checked to be sizes."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    window: int
    tied: bool
    fused: bool

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """The linear maps of one layer: name -> (inputs, outputs)."""
        return list_projections(self.hidden, self.inner, self.queries, self.keys, self.fused)

    @property
    def queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head_dim


def list_projections(
    hidden: int, inner: int, queries: int, keys: int, fused: bool
) -> dict[str, tuple[int, int]]:
    """Name -> (inputs, outputs) of one layer's linear maps, those before attention first."""
    attention_in = {"q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys)}
    gate_and_up = {"gate_proj": (hidden, inner), "up_proj": (hidden, inner)}
    if fused:
        attention_in = {"qkv_proj": (hidden, queries + 2 * keys)}
        gate_and_up = {"gate_up_proj": (hidden, 2 * inner)}
    return attention_in | {"o_proj": (queries, hidden)} | gate_and_up | {"down_proj": (inner, hidden)}


def read_sizes(config: Mapping[str, Any]) -> Sizes:
    """Raises EngineFailure if one is missing, absurd, or does not go with the others."""
    architecture = _architecture(config)
    known = {**architecture.assumed, **{key: value for key, value in config.items() if value is not None}}
    heads, hidden = _size(known, "num_attention_heads"), _size(known, "hidden_size")
    kv_heads = _size({"num_key_value_heads": heads, **known}, "num_key_value_heads")
    head_dim = _size({"head_dim": hidden // heads, **known}, "head_dim")
    if heads % kv_heads:
        raise unusable(
            f"its config.json shares {kv_heads} key heads among {heads} query heads",
            "Choose a complete model folder.",
        )
    return Sizes(
        layers=_size(known, "num_hidden_layers"),
        hidden=hidden,
        inner=_size(known, "intermediate_size"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=_size(known, "vocab_size"),
        window=_size(known, "max_position_embeddings"),
        tied=known.get("tie_word_embeddings") is True,
        fused=architecture.fused,
    )


def _architecture(config: Mapping[str, Any]) -> Architecture:
    kind = config.get("model_type")
    return _ARCHITECTURES.get(kind if isinstance(kind, str) else "", Architecture())


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if value is None:
        raise unusable(f"its config.json lacks a size ({key})", "Choose a complete model folder.")
    if type(value) is not int or not 0 < value <= _MOST[key]:
        raise unusable(
            f"its config.json says something impossible for {key}", "Choose a complete model folder."
        )
    return value


def expected_tensors(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Name -> shape of every tensor that such a model is made of; without the head where it is tied."""
    sizes, architecture = read_sizes(config), _architecture(config)
    layer = dict(_layer_tensors(config, sizes, architecture))
    tensors: dict[str, Shape] = {
        "model.embed_tokens.weight": (sizes.vocabulary, sizes.hidden),
        "model.norm.weight": (sizes.hidden,),
    }
    for number in range(sizes.layers):
        tensors |= {f"model.layers.{number}.{name}": shape for name, shape in layer.items()}
    return tensors if sizes.tied else tensors | {"lm_head.weight": (sizes.vocabulary, sizes.hidden)}


def _layer_tensors(
    config: Mapping[str, Any], sizes: Sizes, architecture: Architecture
) -> Iterator[tuple[str, Shape]]:
    for name, (inputs, outputs) in sizes.projections.items():
        in_attention = name in ("q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj")
        place = f"{'self_attn' if in_attention else 'mlp'}.{name}"
        yield f"{place}.weight", (outputs, inputs)
        if _has_bias(config, architecture, name, in_attention):
            yield f"{place}.bias", (outputs,)
    for name in architecture.norms:
        yield f"{name}.weight", (sizes.hidden,)
    if architecture.query_norm:
        of_a_head = architecture.query_norm == "head"
        yield "self_attn.q_norm.weight", (sizes.head_dim if of_a_head else sizes.queries,)
        yield "self_attn.k_norm.weight", (sizes.head_dim if of_a_head else sizes.keys,)


def _has_bias(config: Mapping[str, Any], architecture: Architecture, name: str, in_attention: bool) -> bool:
    if not in_attention:
        return architecture.mlp_bias and bool(config.get("mlp_bias"))
    if architecture.biases == "qkv":
        return name != "o_proj"
    return bool(architecture.biases and config.get(architecture.biases))
