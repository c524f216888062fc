"""Writing what a method learnt as a folder that stock `transformers` and `peft` open by themselves.

No file in it names a place on this machine: the base is called "base", the folder beside it in a download.
Whole layers are stored in the number format of their base: where that is bf16, the trainer's products have
rounded them so in every step. Nats per token as the trainer had them in bf16, and of what was stored in fp32:
last layers on the sample voice 1.9538 and 1.9544, all layers on the help desk's 1.9853 and 1.9819.
Low-rank updates and virtual tokens, a few megabytes at most, stay in fp32.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.conversation import FALLBACK_CHAT_TEMPLATE
from engine.models.inspect import CHAT_TEMPLATE_FILE, has_chat_template, read_shape, tokenizer_files

if TYPE_CHECKING:
    import torch

BASE_NAME = "base"


def save_adapter(model: Any, base_folder: Path, folder: Path, as_base: bool = False) -> None:
    """A PEFT adapter folder: adapter_config.json, adapter_model.safetensors, tokenizer, chat template.

    `as_base`: in the number format of the base.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file
    from torch import float32

    folder.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    config.base_model_name_or_path = BASE_NAME
    # `save_pretrained` would look BASE_NAME up to see whether the vocabulary grew; ours never does.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    dtype = _base_dtype(base_folder) if as_base else float32
    tensors = {
        name: tensor.detach().to("cpu", dtype, copy=True).contiguous() for name, tensor in state.items()
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    learning, config.inference_mode = config.inference_mode, True
    config.save_pretrained(folder)
    config.inference_mode = learning
    _sort_lists(folder / "adapter_config.json")
    _copy_tokenizer(base_folder, folder)


def save_whole_model(model: Any, base_folder: Path, folder: Path) -> None:
    """A `transformers` model folder: config, weights as safetensors, tokenizer, chat template.

    Leaves the model itself in the number format of its base: a second copy would be as large again.
    """
    model.to(_base_dtype(base_folder)).save_pretrained(folder)
    _copy_tokenizer(base_folder, folder)


def _base_dtype(base_folder: Path) -> "torch.dtype":
    import torch

    dtype: torch.dtype = getattr(torch, read_shape(base_folder).dtype)
    return dtype


def _sort_lists(config_file: Path) -> None:
    """PEFT writes sets in the order of their hashes, which changes from process to process."""
    config = json.loads(config_file.read_text("utf-8"))
    ordered = {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}
    config_file.write_text(json.dumps(ordered, indent=2, sort_keys=True) + "\n", "utf-8")


def _copy_tokenizer(base_folder: Path, folder: Path) -> None:
    for file in tokenizer_files(base_folder):
        shutil.copyfile(file, folder / file.name)
    if not has_chat_template(base_folder):
        (folder / CHAT_TEMPLATE_FILE).write_text(FALLBACK_CHAT_TEMPLATE, "utf-8")
