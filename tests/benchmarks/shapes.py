"""The models of the benchmark: known shapes with random weights, and the small model's tokenizer.

What a model says does not matter for how fast it learns. Knows transformers. Does not know rows or sides.
"""

import shutil
from pathlib import Path

from engine.models.inspect import tokenizer_files
from tests.base_models import SMALL_MODEL

SHAPES: dict[str, dict[str, int]] = {
    # For the test that keeps the benchmark alive.
    "tiny": {
        "num_hidden_layers": 3,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 8192,
    },
    # 17.5M parameters, a small model.
    "17M": {
        "num_hidden_layers": 12,
        "hidden_size": 320,
        "intermediate_size": 864,
        "num_attention_heads": 5,
        "num_key_value_heads": 5,
        "vocab_size": 8192,
    },
    # As published: huggingface.co/HuggingFaceTB/SmolLM2-135M, config.json.
    "smollm2-135m-size": {
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
}


def make_model(name: str, folder: Path, seed: int = 0) -> None:
    """A standard `transformers` folder that every side can open."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        **SHAPES[name],
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for file in tokenizer_files(SMALL_MODEL):
        shutil.copyfile(file, folder / file.name)
