"""Tiny random models as GGUF files, written by the conventions of llama.cpp's own converter.

Says nothing about how such a file is read again: names come from `gguf`, the order of rows and the shift of
norms from what llama.cpp's `conversion/*.py` do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
SAMPLE = (
    "In 2026 we sold 1,234 tents, and it's the warm ones that people's friends asked for. Don't pack what "
    "you will not wear! The harbour, the hills and the long way home: waterproof seams, recycled threads.\n"
    "Für jede Größe ein Zelt; l'été à la plage coûte 12 € de moins."
) * 3
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "eos_token_id": 1,
    "bos_token_id": 0,
    "pad_token_id": 1,
}
ROPE_KEYS = ("rope_theta",)


@dataclass(frozen=True)
class Kind:
    """One architecture: its config class in transformers, with what is peculiar to it."""

    arch: str
    config: str
    options: dict[str, Any] = field(default_factory=dict)
    interleaved: bool = False
    norm_shift: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    """Under the architecture's name, beside what all have."""


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
KINDS = {
    "llama": Kind("llama", "LlamaConfig", interleaved=True),
    "llama-untied": Kind("llama", "LlamaConfig", {"tie_word_embeddings": False}, interleaved=True),
    "llama-biases": Kind("llama", "LlamaConfig", {"attention_bias": True}, interleaved=True),
    "llama3": Kind("llama", "LlamaConfig", {"rope_parameters": LLAMA3}, interleaved=True),
    "llama-linear": Kind(
        "llama",
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
        interleaved=True,
        metadata={"rope.scaling.type": "linear", "rope.scaling.factor": 2.0},
    ),
    "mistral": Kind("llama", "MistralConfig", {"head_dim": 32, "sliding_window": None}, interleaved=True),
    "qwen2": Kind("qwen2", "Qwen2Config"),
    "qwen3": Kind("qwen3", "Qwen3Config", {"head_dim": 32}),
    "gemma2": Kind(
        "gemma2",
        "Gemma2Config",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8},
        norm_shift=1.0,
        metadata={
            "attention.sliding_window": 8,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
    ),
    "gemma3": Kind(
        "gemma3",
        "Gemma3TextConfig",
        {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8, "num_hidden_layers": 7},
        norm_shift=1.0,
        metadata={"attention.sliding_window": 8},
    ),
}


@dataclass
class Written:
    """A file with what it was made from."""

    file: Path
    model: Any
    kind: Kind


def make_model(kind: Kind, vocabulary: int) -> Any:
    """Random, with norms and biases that do something."""
    import torch
    import transformers

    torch.manual_seed(11)
    options = {"tie_word_embeddings": True, **SIZES, **kind.options}
    config = getattr(transformers, kind.config)(vocab_size=vocabulary, **options)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight") or name.endswith(".bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
            # As the files of real models have it: exact in bf16.
            parameter.copy_(parameter.to(torch.bfloat16))
    return model.eval()


def write_gguf(
    file: Path,
    kind: Kind,
    tokenizer: Mapping[str, Any],
    *,
    quantise: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    change: Callable[[dict[str, Any], dict[str, np.ndarray]], None] = lambda metadata, tensors: None,
) -> Written:
    """`change` may spoil the metadata or the tensors (by their names in the file) before they are written."""
    model = make_model(kind, len(tokenizer["tokens"]))
    metadata = {f"tokenizer.ggml.{name}": value for name, value in tokenizer.items() if name != "template"}
    if tokenizer.get("template"):
        metadata["tokenizer.chat_template"] = tokenizer["template"]
    metadata |= _sizes(kind, model.config) | {"general.name": "Tiny Harbour", "general.license": "mit"}
    tensors = _tensors(kind, model)
    change(metadata, tensors)
    writer = gguf.GGUFWriter(file, metadata.pop("general.architecture", kind.arch))
    for key, value in metadata.items():
        _add(writer, key, value)
    for name, tensor in tensors.items():
        narrow = tensor.ndim > 1 and tensor.shape[-1] % 32 == 0
        form = quantise if narrow else gguf.GGMLQuantizationType.F32
        stored = random_blocks(tensor.shape, form) if narrow and form in SCALES else None
        if stored is None:
            stored = gguf.quantize(tensor.astype(np.float32), form)
        writer.add_tensor(name, stored, raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Written(file, model, kind)


SCALES: dict[gguf.GGMLQuantizationType, dict[int, float]] = {
    gguf.GGMLQuantizationType.Q4_K: {0: 0.0003, 2: 0.003},
    gguf.GGMLQuantizationType.Q5_K: {0: 0.00015, 2: 0.003},
    gguf.GGMLQuantizationType.Q6_K: {208: 0.00005},
    gguf.GGMLQuantizationType.Q3_K: {108: 0.001},
}
"""Of the formats that `gguf` reads but cannot write: where the fp16 scales of a block lie, and their size."""


def random_blocks(shape: tuple[int, ...], form: gguf.GGMLQuantizationType) -> np.ndarray:
    """Bytes of such a format, by chance, with scales that keep the numbers small."""
    numbers, size = gguf.GGML_QUANT_SIZES[form]
    blocks = np.random.default_rng(3).integers(0, 256, (int(np.prod(shape)) // numbers, size), np.uint8)
    for place, scale in SCALES[form].items():
        blocks[:, place : place + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    kinds: list[tuple[type, Callable[..., None]]] = [
        (bool, writer.add_bool),
        (int, writer.add_uint32),
        (float, writer.add_float32),
        (str, writer.add_string),
        (list, writer.add_array),
    ]
    next(add for kind, add in kinds if isinstance(value, kind))(key, value)


def _sizes(kind: Kind, config: Any) -> dict[str, Any]:
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    values = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": float(rope["rope_theta"]),
        "rope.dimension_count": head_dim,
        "vocab_size": config.vocab_size,
    }
    return {f"{kind.arch}.{name}": value for name, value in (values | kind.metadata).items()}


def _tensors(kind: Kind, model: Any) -> dict[str, np.ndarray]:
    config = model.config
    arch = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == kind.arch)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    found = {}
    for name, parameter in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        tensor = parameter.float().numpy()
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        if kind.interleaved and ("q_proj" in name or "k_proj" in name):
            halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
            tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
        if name.endswith("norm.weight"):
            tensor = tensor + np.float32(kind.norm_shift)
        stem, suffix = name.rsplit(".", 1)
        found[f"{names.get_name(stem)}.{suffix}"] = tensor
    if config.rope_parameters.get("rope_type") == "llama3":
        found["rope_freqs.weight"] = _llama3_factors(config)
    return found


def _llama3_factors(config: Any) -> np.ndarray:
    """By how much llama.cpp divides each frequency."""
    rope = config.rope_parameters
    size = config.hidden_size // config.num_attention_heads
    factors = []
    for place in range(0, size, 2):
        wave = 2 * np.pi * rope["rope_theta"] ** (place / size)
        old = rope["original_max_position_embeddings"]
        if wave < old / rope["high_freq_factor"]:
            factors.append(1.0)
        elif wave > old / rope["low_freq_factor"]:
            factors.append(rope["factor"])
        else:
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            smooth = (old / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


# --- tokenizers --------------------------------------------------------------------------------------


def byte_level(pre: str = "smollm", **changes: Any) -> dict[str, Any]:
    """Bytes and what a few sentences teach, with four tokens of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<|begin|>", "<|end|>", "<|turn|>", "<think>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator([SAMPLE], trainer)
    return {
        "model": "gpt2",
        "pre": pre,
        **_vocabulary(trained),
        "token_type": _kinds(trained, special[:3], special[3:]),
        "bos_token_id": 0,
        "eos_token_id": 1,
        "padding_token_id": 1,
        "add_bos_token": False,
        "template": TEMPLATE,
    } | changes


def readable() -> dict[str, Any]:
    """Of which every token is whole characters, since llama.cpp holds back what may be a part of one."""
    tokenizer = byte_level()
    tokens = [
        token if token.isascii() or set(token) <= {"Ġ", "Ċ"} else f"~{number}"
        for number, token in enumerate(tokenizer["tokens"])
    ]
    known = set(tokens)
    merges = [merge for merge in tokenizer["merges"] if {*merge.split(" "), merge.replace(" ", "")} <= known]
    return tokenizer | {"tokens": tokens, "merges": merges}


def sentencepiece(adds_space: bool, **changes: Any) -> dict[str, Any]:
    """Pieces with scores, bytes for what is no piece."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=260, show_progress=False)
    trained.train_from_iterator([SAMPLE], trainer)
    pieces = _vocabulary(trained)["tokens"]
    special = ["<s>", "</s>", "<unk>", "<|turn|>", "<|end|>"]
    # As Gemma's makers have defined some.
    defined = ["\n\n", "<table>", "▁▁", "▁▁▁"]
    pieces = [piece for piece in pieces if piece not in defined]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *defined]
    kinds = [CONTROL, CONTROL, UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(pieces)]
    kinds += [USER_DEFINED] * len(defined)
    return {
        "model": "llama",
        "pre": "default",
        "tokens": tokens,
        "scores": [0.0] * 261 + [-float(rank) for rank in range(len(pieces) + len(defined))],
        "token_type": kinds,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "unknown_token_id": 2,
        "padding_token_id": 1,
        "add_bos_token": True,
        "add_space_prefix": adds_space,
        "template": TEMPLATE,
    } | changes


def _vocabulary(trained: Any) -> dict[str, list[str]]:
    import json

    model = json.loads(trained.to_str())["model"]
    tokens = sorted(model["vocab"], key=lambda token: model["vocab"][token])
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    return {"tokens": tokens, "merges": merges}


def _kinds(trained: Any, special: list[str], defined: list[str]) -> list[int]:
    named = dict.fromkeys(special, CONTROL) | dict.fromkeys(defined, USER_DEFINED)
    return [named.get(token, NORMAL) for token in _vocabulary(trained)["tokens"]]
