"""Whether a folder is a base model that the four methods can tune, asked once: when it is added.

Every refusal is one plain sentence of what is wrong and what to do. Cheap checks come first; the last one
reads every weight. Nothing of the folder is run but its chat template, in a sandbox. Imports neither torch
nor transformers.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure
from engine.models.architecture import MODEL_TYPES, expected_tensors, read_sizes
from engine.models.config_values import refuse_odd_values
from engine.models.folder import has_file, read_json, read_json_if_there, unusable
from engine.models.weights import FLOAT_TYPES, Tensor, read_tensors, refuse_what_is_no_number, weight_files

# Keys that make a loader import code from the folder or fetch it (CVE-2026-4372 and its kin).
CODE_LOADING_KEYS = frozenset(
    {"auto_map", "custom_pipelines", "custom_code", "_attn_implementation_internal"}
)
_PLAIN_ATTENTION = (None, "eager", "sdpa")
_ADAPTER_CONFIG = "adapter_config.json"
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
_QUANTISED_KEYS = ("quantization_config", "compression_config")
_QUANTISED_TENSORS = ("qweight", "qzeros", "scales", "g_idx", "absmax", "quant_map", "SCB", "weight_scale")
_COMPLETE = "Choose a complete model folder."


def resolve_folder(folder: Path) -> Path:
    """The folder that a person named, absolute and without links. Raises EngineFailure if it cannot be."""
    try:
        return folder.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise unusable("this path leads nowhere", "Choose a model's folder.") from error


def check_folder(folder: Path) -> None:
    """Raise EngineFailure("model_unusable") with a sentence unless the four methods can tune this folder."""
    try:
        _refuse_other_things(folder)
        config = read_json(folder, "config.json")
        _refuse_config(folder, config)
        sizes = read_sizes(config)
        if sizes.layers < 2:
            raise unusable("it has a single layer", "Choose a model with at least two layers.")
        refuse_odd_values(config, sizes.layers, sizes.vocabulary)
        _refuse_tensors(config, read_tensors(folder))
        _refuse_tokenizer(folder, config, sizes.vocabulary)
        _refuse_chat_template(folder)
        refuse_what_is_no_number(folder)
    except PermissionError as error:
        raise unusable("its files may not be read", "Allow reading them, then add it again.") from error
    except OSError as error:
        raise unusable("its files cannot be read", "Copy the folder to this machine's disk.") from error


# --- what the folder is ------------------------------------------------------------------------------


def _refuse_other_things(folder: Path) -> None:
    if not folder.is_dir():
        what = "it is a file and not a folder" if folder.exists() else "there is no such folder"
        raise unusable(what, "Choose the folder in which config.json and the weights lie.")
    suffixes = {file.suffix for file in folder.iterdir()}
    if not suffixes:
        raise unusable("its folder is empty", _COMPLETE)
    if has_file(folder, _ADAPTER_CONFIG):
        raise unusable(
            "it is an adapter (LoRA), which only changes another model",
            "Choose the folder of the model that it was made for.",
        )
    if has_file(folder, "config.json") and not weight_files(folder):
        raise _explain_no_weights(suffixes)


def _explain_no_weights(suffixes: set[str]) -> Exception:
    if suffixes & _PICKLED:
        return unusable(
            "its weights are in files that can run program code when they are opened (such as .bin)",
            "Choose a version of it with .safetensors files.",
        )
    if ".gguf" in suffixes:
        return unusable("it holds a GGUF file and no weights beside it", "Choose the .gguf file itself.")
    return unusable("it has no weights as model.safetensors", "Choose a version of it with that file.")


# --- config.json -------------------------------------------------------------------------------------


def _refuse_config(folder: Path, config: Mapping[str, Any]) -> None:
    _refuse_code(config)
    _refuse_code(read_json_if_there(folder, "tokenizer_config.json"))
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise unusable(
            f"it is of the kind “{str(kind)[:40]}”",
            f"Choose a model of one of these kinds: {', '.join(sorted(MODEL_TYPES))}.",
        )
    if any(config.get(key) for key in _QUANTISED_KEYS):
        raise _quantised()


def _refuse_code(config: Mapping[str, Any]) -> None:
    attention = [value for key, value in config.items() if key.endswith("attn_implementation")]
    if CODE_LOADING_KEYS & config.keys() or any(value not in _PLAIN_ATTENTION for value in attention):
        raise unusable(
            "it would run program code of its own", "Choose a model that needs no code besides transformers."
        )


def _quantised() -> Exception:
    return unusable("its weights are quantised", "Choose the same model with its full weights.")


# --- weights -----------------------------------------------------------------------------------------


def _refuse_tensors(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    if any(name.rpartition(".")[2] in _QUANTISED_TENSORS for name in tensors):
        raise _quantised()
    for name, shape in expected_tensors(config).items():
        found = tensors.get(name)
        if found is None:
            raise unusable(f"“{name}” is missing from its weights", "Fetch the model again.")
        if found.dtype not in FLOAT_TYPES:
            raise _quantised()
        if found.shape != shape:
            sizes = f"{_say(found.shape)} in its weights, but {_say(shape)} by its config.json"
            raise unusable(f"“{name}” has the size {sizes}", _COMPLETE)


def _say(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape)) or "1"


# --- tokenizer ---------------------------------------------------------------------------------------


def _refuse_tokenizer(folder: Path, config: Mapping[str, Any], vocabulary: int) -> None:
    if not has_file(folder, "tokenizer.json"):
        raise unusable("it has no tokenizer.json", "Choose a version of it with a fast tokenizer.")
    settings = read_json_if_there(folder, "tokenizer_config.json")
    known, idle = _read_tokens(folder, settings)
    named = _named_tokens(settings)
    # What the tokenizer is told of and does not have, it adds behind its last token.
    highest = max((id for token, id in known.items() if token not in idle - named), default=-1)
    highest += len(named - known.keys())
    if highest >= vocabulary:
        raise unusable(
            f"its tokenizer has tokens up to {highest}, but the model knows {vocabulary} only", _COMPLETE
        )
    ends = (read_json_if_there(folder, "generation_config.json"), config)
    if not _text_of(settings.get("eos_token")) and all(one.get("eos_token_id") is None for one in ends):
        raise unusable(
            "it names no token that ends a text",
            "Choose a version of it with a complete tokenizer_config.json.",
        )


def _refuse_chat_template(folder: Path) -> None:
    """Unless it writes one question and its answer; it is run in a sandbox."""
    from engine.conversation import render
    from engine.light_tokenizer import LightTokenizer

    question = {"role": "user", "content": "What is it?"}
    answer = {"role": "assistant", "content": "A lamp."}
    try:
        tokenizer = LightTokenizer(folder)
        render(tokenizer, [question], add_generation_prompt=True)
        render(tokenizer, [question, answer])
    except (EngineFailure, MemoryError, OSError):
        raise
    except Exception as error:
        # A template is a program, which may fail in any way.
        raise unusable(
            "its chat template cannot write a question and its answer",
            "Choose a version of it with a working chat template, such as its Instruct version.",
        ) from error


def _read_tokens(folder: Path, settings: Mapping[str, Any]) -> tuple[dict[str, int], set[str]]:
    """Token -> id, and those that no text of a person or the chat template ever becomes."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        # The library raises its own bare Exception.
        raise unusable("its tokenizer.json cannot be read", _COMPLETE) from error
    template = str(settings.get("chat_template", ""))
    for file in folder.glob("*.jinja"):
        template += file.read_text("utf-8", errors="replace")
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    return tokenizer.get_vocab(), {token for token in special if token not in template}


def _named_tokens(settings: Mapping[str, Any]) -> set[str]:
    single = (_text_of(settings.get(f"{role}_token")) for role in ("bos", "eos", "pad", "unk"))
    several = settings.get("additional_special_tokens")
    more = map(_text_of, several) if isinstance(several, list) else ()
    return {token for token in (*single, *more) if token}


def _text_of(token: object) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""
