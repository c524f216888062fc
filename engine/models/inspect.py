"""What a base model's folder holds: its sizes, its fingerprint, and whether the four methods can tune it.

Reads config files and the headers of weight files; no weight is read. Does not know the catalogue, methods or
runs. Importing this module imports neither torch nor transformers: the supervisor asks for shapes.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from math import prod
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure

CHAT_TEMPLATE_FILE = "chat_template.jinja"
# Decoders whose layers are called `model.layers.N` and have q, k, v, o, gate, up and down projections: what
# the four methods rely on.
MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"})
# Keys that make a loader import code from the folder or fetch it (CVE-2026-4372 and its kin).
CODE_LOADING_KEYS = frozenset(
    {"auto_map", "custom_pipelines", "custom_code", "_attn_implementation_internal"}
)
# Rotary positions that do not depend on the length of the text.
_STEADY_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})
_PLAIN_ATTENTION = (None, "eager", "sdpa")
# The files that decide what a model computes; a model card may change without making it another model.
_LOADED_SUFFIXES = frozenset({".json", ".safetensors", ".jinja", ".model", ".txt"})
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    CHAT_TEMPLATE_FILE,
)
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class ModelShape:
    """The sizes from which work, memory and bytes are counted."""

    parameters: int
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    window_tokens: int
    tied_embeddings: bool
    layer_parameters: int
    """Of one transformer layer, with its norms and biases."""
    bytes: int
    """Of all files in the folder."""
    tokenizer_bytes: int
    """Of the tokenizer and chat template, which every artefact carries along."""
    is_plain_llama: bool = True
    """Whether its layers can be run by `llama_layer.py`."""

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """The linear maps of one layer: name -> (inputs, outputs)."""
        hidden, inner = self.hidden_size, self.intermediate_size
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def layer_linear_parameters(self) -> int:
        return sum(inputs * outputs for inputs, outputs in self.projections.values())

    @property
    def attention_input_parameters(self) -> int:
        """Of those, what comes before attention."""
        before = (self.projections[name] for name in ("q_proj", "k_proj", "v_proj"))
        return sum(inputs * outputs for inputs, outputs in before)

    @property
    def head_parameters(self) -> int:
        return self.hidden_size * self.vocabulary


# --- checks of a folder ------------------------------------------------------------------------------


def check_folder(folder: Path) -> None:
    """Raise EngineFailure("model_unusable") with a sentence unless the four methods can tune this folder."""
    config = _read_json(folder, "config.json")
    _refuse_code(config)
    _refuse_code(_read_json(folder, "tokenizer_config.json") if _has(folder, "tokenizer_config.json") else {})
    if config.get("model_type") not in MODEL_TYPES:
        raise _unusable(
            f"it is of the kind “{config.get('model_type')}”",
            f"Choose a model of one of these kinds: {', '.join(sorted(MODEL_TYPES))}.",
        )
    if config.get("quantization_config"):
        raise _unusable("its weights are quantised", "Choose the same model with its full weights.")
    if not _weight_files(folder):
        raise _unusable("it has no weights as safetensors", "Choose a version of it with .safetensors files.")
    if not _has(folder, "tokenizer.json"):
        raise _unusable("it has no tokenizer.json", "Choose a version of it with a fast tokenizer.")
    if read_shape(folder).layers < 2:
        raise _unusable("it has a single layer", "Choose a model with at least two layers.")


def _refuse_code(config: dict[str, Any]) -> None:
    attention = [value for key, value in config.items() if key.endswith("attn_implementation")]
    if CODE_LOADING_KEYS & config.keys() or any(value not in _PLAIN_ATTENTION for value in attention):
        raise _unusable(
            "it would run program code of its own", "Choose a model that needs no code besides transformers."
        )


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _unusable(reason: str, remedy: str) -> EngineFailure:
    return EngineFailure(
        "model_unusable", f"This model cannot be tuned here: {reason}.", "Nothing was changed.", remedy
    )


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _unusable(
            f"its {name} is missing or cannot be read", "Choose a complete model folder."
        ) from error
    if not isinstance(value, dict):
        raise _unusable(f"its {name} is not what it should be", "Choose a complete model folder.")
    return value


# --- shape and fingerprint ---------------------------------------------------------------------------


def read_shape(folder: Path) -> ModelShape:
    """Sizes from config.json and the headers of the weight files; no weight is read."""
    config = _read_json(folder, "config.json")
    tensors = {name: size for file in _weight_files(folder) for name, size in _tensor_sizes(file).items()}
    tied = bool(config.get("tie_word_embeddings", False)) or "lm_head.weight" not in tensors
    if tied:
        tensors.pop("lm_head.weight", None)
    try:
        heads = int(config["num_attention_heads"])
        hidden = int(config["hidden_size"])
        return ModelShape(
            parameters=sum(tensors.values()),
            layers=int(config["num_hidden_layers"]),
            hidden_size=hidden,
            intermediate_size=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            vocabulary=int(config["vocab_size"]),
            window_tokens=int(config["max_position_embeddings"]),
            tied_embeddings=tied,
            layer_parameters=sum(size for name, size in tensors.items() if ".layers.0." in f".{name}"),
            bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
            tokenizer_bytes=sum(file.stat().st_size for file in tokenizer_files(folder)),
            is_plain_llama=is_plain_llama(config),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable("its config.json lacks a size", "Choose a complete model folder.") from error


def is_plain_llama(config: Mapping[str, Any]) -> bool:
    """Whether a model of this config.json is a Llama as first published: no biases, no dropout, SwiGLU."""
    rotation = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return bool(
        config.get("model_type") == "llama"
        and config.get("hidden_act", "silu") == "silu"
        and not any(config.get(key) for key in ("attention_bias", "mlp_bias", "attention_dropout"))
        and rotation.get("rope_type", rotation.get("type", "default")) in _STEADY_ROTATIONS
    )


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer and chat template, as an artefact carries them along."""
    return [folder / name for name in _TOKENIZER_FILES if _has(folder, name)]


def has_chat_template(folder: Path) -> bool:
    config = folder / "tokenizer_config.json"
    return _has(folder, CHAT_TEMPLATE_FILE) or (
        config.is_file() and "chat_template" in json.loads(config.read_text("utf-8"))
    )


def fingerprint(folder: Path) -> str:
    """sha256 over the sorted (file name, sha256) of the files that decide what the model computes."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _LOADED_SUFFIXES and file.is_file())
    lines = [f"{file.name} {file_sha256(file)}\n" for file in files]
    return sha256("".join(lines).encode()).hexdigest()


def file_sha256(file: Path) -> str:
    """Read once for as long as the file keeps its time and its size."""
    return _file_sha256(file, *_identity(file))


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _file_sha256(file: Path, modified: int, size: int) -> str:
    """`modified` and `size` are there for the cache: a file that kept both is not read again."""
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.safetensors") if file.is_file())


def _tensor_sizes(file: Path) -> dict[str, int]:
    """Numbers per tensor of one safetensors file, from its header, checked against the file's length."""
    damaged = _unusable("one of its weight files is damaged", "Fetch the model again.")
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _MAX_HEADER_BYTES + 1
        if length > min(_MAX_HEADER_BYTES, file.stat().st_size - 8):
            raise damaged
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise damaged from error
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if 8 + length + end > file.stat().st_size:
        raise damaged
    return {name: prod(entry["shape"]) for name, entry in header.items()}
