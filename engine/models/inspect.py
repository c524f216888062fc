"""What a base model's folder holds: its sizes and its fingerprint.

Reads config files and the headers of weight files; no weight is read. Whether the folder can be tuned is
asked in `check.py`. Does not know the catalogue, methods or runs. Importing this module imports neither torch
nor transformers: the supervisor asks for shapes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.models.architecture import list_projections, read_sizes
from engine.models.folder import has_file, read_json, read_json_if_there
from engine.models.hashes import file_sha256
from engine.models.weights import Tensor, read_tensors

CHAT_TEMPLATE_FILE = "chat_template.jinja"
# Rotary positions that do not depend on the length of the text.
_STEADY_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})
# The files that decide what a model computes; a model card may change without making it another model.
LOADED_SUFFIXES = frozenset({".json", ".safetensors", ".jinja", ".model", ".txt"})
_REPETITION_PENALTIES = (0.5, 3.0)
"""Beyond these an answer is noise."""
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    CHAT_TEMPLATE_FILE,
)


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
    fused_projections: bool = False
    """Whether q, k and v are one projection, and gate and up another."""
    dtype: str = "float32"
    """The number format of its weights on disk, as torch names it."""

    @property
    def number_bytes(self) -> int:
        """Of one weight on disk."""
        return 2 if self.dtype in ("bfloat16", "float16") else 4

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """The linear maps of one layer: name -> (inputs, outputs)."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return list_projections(
            self.hidden_size, self.intermediate_size, queries, keys, self.fused_projections
        )

    @property
    def layer_linear_parameters(self) -> int:
        return sum(inputs * outputs for inputs, outputs in self.projections.values())

    @property
    def attention_input_parameters(self) -> int:
        """Of those, what comes before attention."""
        return self.hidden_size * (self.heads + 2 * self.kv_heads) * self.head_dim

    @property
    def head_parameters(self) -> int:
        return self.hidden_size * self.vocabulary


# --- shape and fingerprint ---------------------------------------------------------------------------


def read_shape(folder: Path) -> ModelShape:
    """Sizes from config.json and the headers of the weight files; no weight is read."""
    config = read_json(folder, "config.json")
    sizes = read_sizes(config)
    tensors = read_tensors(folder)
    numbers = {name: tensor.numbers for name, tensor in tensors.items()}
    if sizes.tied:
        numbers.pop("lm_head.weight", None)
    return ModelShape(
        parameters=sum(numbers.values()),
        layers=sizes.layers,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.inner,
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        vocabulary=sizes.vocabulary,
        window_tokens=sizes.window,
        tied_embeddings=sizes.tied,
        layer_parameters=sum(count for name, count in numbers.items() if ".layers.0." in f".{name}"),
        bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        tokenizer_bytes=sum(file.stat().st_size for file in tokenizer_files(folder)),
        is_plain_llama=is_plain_llama(config),
        fused_projections=sizes.fused,
        dtype=_find_dtype(tensors.values()),
    )


def _find_dtype(tensors: Iterable[Tensor]) -> str:
    """The number format of the largest, as torch names it."""
    largest = max(tensors, key=lambda tensor: tensor.numbers)
    return {"BF16": "bfloat16", "F16": "float16"}.get(largest.dtype, "float32")


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
    return [folder / name for name in _TOKENIZER_FILES if has_file(folder, name)]


def has_chat_template(folder: Path) -> bool:
    if has_file(folder, CHAT_TEMPLATE_FILE):
        return True
    return "chat_template" in read_json_if_there(folder, "tokenizer_config.json")


def read_repetition_penalty(folder: Path) -> float:
    """What generation_config.json asks of every answer of this model; 1.0, for none, if it is no penalty."""
    penalty = read_json_if_there(folder, "generation_config.json").get("repetition_penalty")
    if not isinstance(penalty, int | float) or isinstance(penalty, bool):
        return 1.0
    lowest, highest = _REPETITION_PENALTIES
    return float(penalty) if lowest <= penalty <= highest else 1.0


def fingerprint(folder: Path) -> str:
    """sha256 over the sorted (file name, sha256) of the files that decide what the model computes."""
    files = sorted(file for file in folder.iterdir() if file.suffix in LOADED_SUFFIXES and file.is_file())
    lines = [f"{file.name} {file_sha256(file)}\n" for file in files]
    return sha256("".join(lines).encode()).hexdigest()
