"""What a GGUF file's architecture is in `transformers`: its config.json, and where each tensor goes.

Follows the conventions by which llama.cpp writes a file (`conversion/*.py` there): names, the order of rows
in q and k of a Llama, one added to Gemma's norms. Every tensor must be expected, of the expected shape, and
none may be missing. Reads no weight but Llama's rotary factors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import pi
from typing import Any

import numpy as np

from engine.models.gguf_file import GgufFile, GgufTensor, refuse_gguf
from engine.models.gguf_weights import READABLE, Target, read_numbers

_ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
_FORWARD = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_TWO_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_FOUR_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_ROTARY_FACTORS = "rope_freqs.weight"


@dataclass(frozen=True)
class Architecture:
    """One kind of model, as llama.cpp keeps it."""

    model_type: str
    class_name: str
    norms: Mapping[str, str]
    biases: tuple[str, ...] = ()
    """Of the attention's linear maps: those that always have one."""
    may_have_biases: bool = False
    """All four of them, or none."""
    interleaved: bool = False
    """Whether the halves of each head's rows in q and k lie interleaved."""
    norm_shift: float = 0.0
    activation: tuple[str, str] = ("hidden_act", "silu")


ARCHITECTURES = {
    "llama": Architecture("llama", "LlamaForCausalLM", _TWO_NORMS, may_have_biases=True, interleaved=True),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM", _TWO_NORMS, biases=("attn_q", "attn_k", "attn_v")),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM", _TWO_NORMS | _HEAD_NORMS, may_have_biases=True),
    "gemma2": Architecture(
        "gemma2",
        "Gemma2ForCausalLM",
        _FOUR_NORMS,
        norm_shift=-1.0,
        activation=("hidden_activation", "gelu_pytorch_tanh"),
    ),
    "gemma3": Architecture(
        "gemma3_text",
        "Gemma3ForCausalLM",
        _FOUR_NORMS | _HEAD_NORMS,
        norm_shift=-1.0,
        activation=("hidden_activation", "gelu_pytorch_tanh"),
    ),
}
# Of the largest Gemma alone the scores are divided by the root of another number, which no file says.
_GEMMA_BY_HIDDEN_SIZE = {"gemma2": 46, "gemma3": 62}


class Sizes:
    """The numbers of the file's metadata that config.json needs."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.architecture = _architecture(file)
        self.layers = self.whole("block_count")
        self.hidden = self.whole("embedding_length")
        self.inner = self.whole("feed_forward_length")
        self.heads = self.whole("attention.head_count")
        self.kv_heads = self.whole("attention.head_count_kv", self.heads)
        self.head_dim = self.whole("attention.key_length", self.hidden // max(self.heads, 1))
        self.context = self.whole("context_length")
        self.vocabulary = _tensor(file, "token_embd.weight").shape[0]
        if self.whole("attention.value_length", self.head_dim) != self.head_dim:
            raise _unknown("keys and values of different lengths")
        if self.whole("rope.dimension_count", self.head_dim) != self.head_dim or self.head_dim % 2:
            raise _unknown("positions that turn a part of each head only")
        if self.heads % self.kv_heads:
            raise _unknown("a number of heads that cannot be shared out")

    @property
    def name(self) -> str:
        return str(self.file.metadata["general.architecture"])

    def value(self, key: str) -> Any:
        return self.file.metadata.get(f"{self.name}.{key}")

    def whole(self, key: str, default: int | None = None) -> int:
        """A number above 0."""
        value = self.value(key)
        if isinstance(value, list) and value and len(set(map(str, value))) == 1:
            value = value[0]
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 2**31:
            raise refuse_gguf(f"its {key.replace('_', ' ')} is missing or makes no sense", _FETCH)
        return value

    def real(self, key: str, default: float | None = None) -> float:
        """A number as it was before it was written in fp32."""
        value = self.value(key)
        value = default if value is None else value
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not np.isfinite(value):
            raise refuse_gguf(f"its {key.replace('_', ' ')} is missing or makes no sense", _FETCH)
        return float(str(np.float32(value)))


_FETCH = "Fetch the file again, or choose another version of it."


def _architecture(file: GgufFile) -> Architecture:
    metadata = file.metadata
    if metadata.get("general.type", "model") == "adapter":
        raise refuse_gguf("it is a LoRA adapter, not a whole model", "Choose the model that it was made for.")
    if metadata.get("split.count", 1) not in (0, 1):
        raise refuse_gguf(
            f"it is one of {metadata['split.count']} parts",
            "Join the parts into one file with llama-gguf-split --merge, or choose a smaller version of it.",
        )
    name = str(metadata.get("general.architecture"))
    if name in ("clip", "mmproj") or metadata.get("general.type") == "mmproj":
        raise refuse_gguf(
            "it is the part of a model that sees pictures", "Choose the file of its text model."
        )
    if name not in ARCHITECTURES:
        raise refuse_gguf(
            f"its architecture is “{name[:40]}”",
            f"Choose a model of one of these: {', '.join(sorted(ARCHITECTURES))} (Mistral counts as llama).",
        )
    if metadata.get(f"{name}.expert_count"):
        raise refuse_gguf("it is a mixture of experts", "Choose a model without experts.")
    return ARCHITECTURES[name]


def _unknown(what: str) -> Exception:
    return refuse_gguf(f"it has {what}", "Choose another model.")


def _tensor(file: GgufFile, name: str) -> GgufTensor:
    if name not in file.tensors:
        raise refuse_gguf(f"its tensor {name} is missing", _FETCH)
    return file.tensors[name]


# --- tensors -----------------------------------------------------------------------------------------


def list_targets(file: GgufFile) -> list[Target]:
    """Every tensor of the folder with where it comes from, in the order of the layers."""
    sizes = Sizes(file)
    targets = [_target(sizes, *expected) for expected in _expected(sizes)]
    known = {target.source.name for target in targets} | {_ROTARY_FACTORS}
    if strangers := sorted(file.tensors.keys() - known):
        raise refuse_gguf(
            f"it holds a part that is unknown here ({strangers[0][:60]})", "Choose another model."
        )
    return targets


def _expected(sizes: Sizes) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Name in the file, name in the folder, shape."""
    yield "token_embd.weight", "model.embed_tokens.weight", (sizes.vocabulary, sizes.hidden)
    for layer in range(sizes.layers):
        for name, shape in _layer_shapes(sizes).items():
            part, kind = name.rsplit(".", 1)
            place = (_ATTENTION | _FORWARD | dict(sizes.architecture.norms))[part]
            yield f"blk.{layer}.{name}", f"model.layers.{layer}.{place}.{kind}", shape
    yield "output_norm.weight", "model.norm.weight", (sizes.hidden,)
    if not is_tied(sizes.file):
        yield "output.weight", "lm_head.weight", (sizes.vocabulary, sizes.hidden)


def _layer_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    hidden, inner = sizes.hidden, sizes.inner
    queries, keys = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    maps: dict[str, tuple[int, ...]] = {
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_gate": (inner, hidden),
        "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    norms: dict[str, tuple[int, ...]] = {
        name: (sizes.head_dim if name in _HEAD_NORMS else hidden,) for name in sizes.architecture.norms
    }
    biases = {f"{name}.bias": maps[name][:1] for name in _biased(sizes)}
    return {f"{name}.weight": shape for name, shape in (maps | norms).items()} | biases


def _biased(sizes: Sizes) -> tuple[str, ...]:
    if sizes.architecture.may_have_biases and has_biases(sizes.file):
        return tuple(_ATTENTION)
    return sizes.architecture.biases


def has_biases(file: GgufFile) -> bool:
    return "blk.0.attn_q.bias" in file.tensors


def is_tied(file: GgufFile) -> bool:
    """Whether the embeddings are the head as well."""
    return "output.weight" not in file.tensors


def _target(sizes: Sizes, name: str, place: str, shape: tuple[int, ...]) -> Target:
    source = _tensor(sizes.file, name)
    if source.kind not in READABLE:
        raise refuse_gguf(
            f"its weights have the number format {source.kind.name}",
            "Choose a version of it as Q8_0, Q4_K_M or F16.",
        )
    if source.shape != shape:
        raise refuse_gguf(f"its tensor {name} does not have the size that it should have", _FETCH)
    turns = sizes.architecture.interleaved and name.split(".")[-2] in ("attn_q", "attn_k")
    if turns and len(shape) == 1:
        # A bias: every number of it is a row.
        source = replace(source, shape=(*shape, 1), row_bytes=source.row_bytes // shape[0])
    return Target(
        place,
        source,
        shape,
        rotary_head=sizes.head_dim if turns else 0,
        shift=sizes.architecture.norm_shift if name.endswith("norm.weight") else 0.0,
    )


def dominant_format(file: GgufFile) -> str:
    """The number format of most weights, such as "Q4_1"; empty if they are not quantised."""
    counted: dict[str, int] = {}
    for tensor in file.tensors.values():
        counted[tensor.kind.name] = counted.get(tensor.kind.name, 0) + tensor.rows * tensor.shape[-1]
    most = max(counted, key=lambda name: counted[name])
    return "" if most in ("F64", "F32", "F16", "BF16") else most


# --- config.json -------------------------------------------------------------------------------------


def render_config(file: GgufFile) -> dict[str, Any]:
    """config.json, without the ids of special tokens."""
    sizes = Sizes(file)
    architecture = sizes.architecture
    activation, function = architecture.activation
    config = {
        "architectures": [architecture.class_name],
        "model_type": architecture.model_type,
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "max_position_embeddings": sizes.context,
        "rms_norm_eps": sizes.real("attention.layer_norm_rms_epsilon"),
        "rope_parameters": _rotation(sizes),
        activation: function,
        "attention_dropout": 0.0,
        "tie_word_embeddings": is_tied(file),
        "initializer_range": 0.02,
        "use_cache": True,
        "dtype": "bfloat16",
    }
    if architecture.may_have_biases:
        config["attention_bias"] = has_biases(file)
    return config | _peculiarities(sizes)


def _peculiarities(sizes: Sizes) -> dict[str, Any]:
    """What only some architectures have."""
    window = sizes.value("attention.sliding_window")
    if sizes.name == "llama":
        if not window:
            return {"mlp_bias": False}
        # A Llama whose attention looks back so far only is what `transformers` calls a Mistral.
        if has_biases(sizes.file):
            raise _unknown("a sliding window and biases")
        kept = {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}
        return kept | {"sliding_window": sizes.whole("attention.sliding_window")}
    if not sizes.name.startswith("gemma"):
        return {"use_sliding_window": False}
    by_hidden = sizes.layers == _GEMMA_BY_HIDDEN_SIZE[sizes.name]
    config: dict[str, Any] = {
        "query_pre_attn_scalar": sizes.hidden // sizes.heads if by_hidden else sizes.head_dim,
        "sliding_window": sizes.whole("attention.sliding_window"),
        "attention_bias": False,
    }
    if sizes.name == "gemma2":
        config["attn_logit_softcapping"] = sizes.real("attn_logit_softcapping", 50.0)
        config["final_logit_softcapping"] = sizes.real("final_logit_softcapping", 30.0)
    return config


def _rotation(sizes: Sizes) -> dict[str, Any]:
    """`rope_parameters`; Gemma 3 has one for the layers that see all and one for those that look back."""
    plain = _stretched(sizes)
    if sizes.name != "gemma3":
        return plain
    plain["rope_theta"] = sizes.real("rope.freq_base", 1_000_000.0)
    local = {"rope_type": "default", "rope_theta": sizes.real("rope.freq_base_swa", 10_000.0)}
    return {"full_attention": plain, "sliding_attention": local}


def _stretched(sizes: Sizes) -> dict[str, Any]:
    theta = sizes.real("rope.freq_base", 10_000.0)
    factor = sizes.real("rope.scaling.factor", sizes.real("rope.scale_linear", 1.0))
    scaling = sizes.value("rope.scaling.type") or "linear"
    if _ROTARY_FACTORS in sizes.file.tensors:
        return _llama3_rotation(sizes, theta)
    if scaling == "none" or factor == 1.0:
        return {"rope_type": "default", "rope_theta": theta}
    if scaling == "linear":
        return {"rope_type": "linear", "rope_theta": theta, "factor": factor}
    raise refuse_gguf(f"its positions are stretched by “{str(scaling)[:20]}”", "Choose another model.")


def _llama3_rotation(sizes: Sizes, theta: float) -> dict[str, Any]:
    """The scaling of Llama 3.1 and 3.2, of which the file keeps only the factors per frequency."""
    tensor = sizes.file.tensors[_ROTARY_FACTORS]
    factors = _read_vector(sizes.file, tensor)
    if np.allclose(factors, 1.0):
        return {"rope_type": "default", "rope_theta": theta}
    found: dict[str, Any] = {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": float(factors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    expected = _llama3_factors(found, sizes.head_dim)
    if factors.shape != expected.shape or not np.allclose(factors, expected, rtol=1e-3):
        raise refuse_gguf("its positions are stretched in a way unknown here", "Choose another model.")
    return found


def _read_vector(file: GgufFile, tensor: GgufTensor) -> Any:
    if len(tensor.shape) != 1 or tensor.kind not in READABLE:
        raise refuse_gguf(f"its tensor {tensor.name} does not have the size that it should have", _FETCH)
    with file.path.open("rb") as stream:
        stream.seek(tensor.begin)
        data = np.frombuffer(stream.read(tensor.bytes), np.uint8).reshape(1, -1)
    return read_numbers(data, tensor.kind)[0]


def _llama3_factors(rotation: Mapping[str, Any], head_dim: int) -> Any:
    """By how much each frequency is slowed down: not at all if it is high, by `factor` if it is low."""
    frequencies = rotation["rope_theta"] ** -(np.arange(0, head_dim, 2) / head_dim)
    turns = rotation["original_max_position_embeddings"] * frequencies / (2 * pi)
    low, high = rotation["low_freq_factor"], rotation["high_freq_factor"]
    # 0 for a wave that fits less than `low` times into the original context, 1 from `high` times on.
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return 1 / ((1 - smooth) / rotation["factor"] + smooth)
