"""Loads a base model's weights and tokenizer. Torch and transformers are imported when called."""

from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.folder import read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_base(folder: Path, dtype: "torch.dtype | None" = None) -> "PreTrainedModel":
    """The untouched weights, as fp32 unless told otherwise; no code of the folder runs, none is fetched.

    Attention is the fused one of torch, save for Gemma 2, whose capped scores only the plain one computes.
    """
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype or torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation="eager" if _caps_scores(folder) else "sdpa",
    )


def _caps_scores(folder: Path) -> bool:
    return read_json(folder, "config.json").get("model_type") == "gemma2"


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
