"""Opens a download as a stranger would: with nothing but the standard library, torch, transformers and peft.

    python -I opening.py check ZIP [--base FOLDER]       does it give its own reference answer?
    python -m engine.opening compare ZIP --prompt TEXT   base and tuned answers to new prompts

`check` is run by file path in a fresh process, so that it proves the download and not this project: this
module imports nothing of it and knows no workspace, run or method. It trusts no zip: names must be those of
the manifest, sizes and sha256 must agree, and only safetensors with a plain configuration are loaded.

Prints one JSON object. Exit code 0: done; 1: opened, but another answer; 2: refused, with `{"failure": …}`.
"""

import argparse
import errno
import hashlib
import json
import os
import re
import stat
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

FORMAT = "voicewright-download"
FORMAT_VERSION = 1
MANIFEST = "voicewright.json"

_NAME = re.compile(r"(README\.md|samples\.csv|(adapter|model|base)/[A-Za-z0-9_][A-Za-z0-9._-]{0,99})")
_MANIFEST_BYTES = 4_000_000
_MAX_FILES = 300
# Weights hardly shrink and a tokenizer about eightfold: beyond this it is no download of ours.
_MAX_RATIO = 100

_PEFT_TYPES = frozenset({"LORA", "P_TUNING"})
# What an adapter of ours may set. Any other key has to be empty: peft imports the module named in
# `auto_mapping`, and others (`megatron_config`, `corda_config`, `lora_ga_config`) import or unpickle
# what they name.
_ANY_ADAPTER = {"peft_type", "task_type", "base_model_name_or_path", "peft_version", "inference_mode"}
_LORA = {
    *("r", "lora_alpha", "lora_dropout", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"),
    *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"),
    *("bias", "fan_in_fan_out", "qalora_group_size"),
}
_P_TUNING = {
    *("num_virtual_tokens", "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers"),
    *("encoder_reparameterization_type", "encoder_hidden_size", "encoder_num_layers", "encoder_dropout"),
}
_PLAIN_KEYS = _ANY_ADAPTER | _LORA | _P_TUNING
_EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {}, "megatron.core")
_CODE_KEYS = frozenset({"auto_map", "custom_pipelines", "custom_code", "_attn_implementation_internal"})
_PLAIN_ATTENTION = (None, "eager", "sdpa")
_FOREIGN_WEIGHTS = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf", ".py", ".so"})


class Refused(Exception):  # noqa: N818 (the word of the domain: a refusal is an answer, not an error)
    """This will not be opened; `failure` has the fields of the engine's Failure record."""

    def __init__(self, code: str, what_happened: str, what_to_do: str, what_you_have: str = "") -> None:
        super().__init__(what_happened)
        self.failure = {
            "code": code,
            "what_happened": what_happened,
            "what_you_have": what_you_have,
            "what_to_do": what_to_do,
        }


def damaged(reason: str) -> Refused:
    return Refused("artefact_damaged", f"The tuned voice is damaged: {reason}.", "Download or tune it again.")


# --- checks of artefact folders -----------------------------------------------------------------------


def check_adapter(folder: Path) -> None:
    """Raise Refused unless this is a PEFT adapter that loads without running or unpickling anything."""
    _refuse_foreign_files(folder)
    config = _read_json(folder / "adapter_config.json")
    if config.get("peft_type") not in _PEFT_TYPES:
        raise damaged("its adapter is of an unknown kind")
    is_plain = all(key in _PLAIN_KEYS or value in _EMPTY for key, value in config.items())
    # A name instead of yes or no asks peft for data files of that scheme.
    if not is_plain or config.get("init_lora_weights") not in (True, False, None):
        raise damaged("the settings of its adapter ask for more than weights")
    check_weights(folder / "adapter_model.safetensors")


def check_model(folder: Path) -> None:
    """Raise Refused unless this is a transformers model folder of plain safetensors."""
    _refuse_foreign_files(folder)
    config = _read_json(folder / "config.json")
    attention = [value for key, value in config.items() if key.endswith("attn_implementation")]
    if _CODE_KEYS & config.keys() or any(value not in _PLAIN_ATTENTION for value in attention):
        raise damaged("its settings ask for more than weights")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise damaged("it has no weights")
    for file in files:
        check_weights(file)


def check_weights(file: Path) -> None:
    """Raise Refused unless the header agrees with the file's length and every number is finite."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            finite = all(bool(torch.isfinite(tensors.get_tensor(name)).all()) for name in names)
    except (SafetensorError, OSError, RuntimeError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise damaged(f"{file.name} cannot be read") from error
    if not names or not finite:
        raise damaged(f"{file.name} holds no usable numbers")


def _refuse_foreign_files(folder: Path) -> None:
    if not folder.is_dir():
        raise damaged("its folder is missing")
    if any(file.is_symlink() or file.suffix in _FOREIGN_WEIGHTS for file in folder.iterdir()):
        raise damaged("a file in it does not belong there")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{file.name} cannot be read") from error
    if not isinstance(value, dict):
        raise damaged(f"{file.name} is not what it should be")
    return value


# --- from zip to folder -------------------------------------------------------------------------------


@contextmanager
def unpacked(archive: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The checked content of a download in a temporary folder, with its manifest."""
    with tempfile.TemporaryDirectory(prefix="voice-") as name:
        folder = Path(name)
        yield folder, unpack(archive, folder)


def unpack(archive: Path, folder: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(archive) as file:
            manifest = _read_manifest(file)
            _check_entries(file, manifest)
            for name, facts in manifest["files"].items():
                _extract(file, name, facts, folder / name)
    except FileNotFoundError as error:
        raise Refused("not_found", "There is no such file.", "Check its name.") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, IsADirectoryError) as error:
        raise _not_ours("it cannot be read as a zip") from error
    return manifest


def _not_ours(reason: str) -> Refused:
    return Refused(
        "artefact_damaged",
        f"This file is not a download of Voicewright, or it is damaged: {reason}.",
        "Download it again and open the new file.",
    )


def _read_manifest(file: zipfile.ZipFile) -> dict[str, Any]:
    entries = [entry for entry in file.infolist() if entry.filename == MANIFEST]
    if len(entries) != 1 or entries[0].file_size > _MANIFEST_BYTES:
        raise _not_ours(f"{MANIFEST} is missing")
    try:
        manifest = json.loads(file.read(entries[0]))
        known = manifest["format"] == FORMAT and manifest["version"] == FORMAT_VERSION
        well_formed = known and all(
            _NAME.fullmatch(name) and isinstance(facts["bytes"], int) and isinstance(facts["sha256"], str)
            for name, facts in manifest["files"].items()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, RuntimeError) as error:
        raise _not_ours(f"{MANIFEST} cannot be read") from error
    if not well_formed:
        raise _not_ours("it is of another version" if not known else f"{MANIFEST} names files it must not")
    return dict(manifest)


def _check_entries(file: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    entries = file.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > _MAX_FILES or sorted(names) != sorted([*manifest["files"], MANIFEST]):
        raise _not_ours("its files are not those of its manifest")
    for entry in entries:
        declared = manifest["files"].get(entry.filename, {}).get("bytes", entry.file_size)
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        is_encrypted = bool(entry.flag_bits & 1)
        if is_link or is_encrypted or entry.file_size != declared:
            raise _not_ours(f"{entry.filename} is not as its manifest says")
        if entry.file_size > _MAX_RATIO * max(entry.compress_size, 1_000):
            raise _not_ours(f"{entry.filename} would grow beyond measure")


def _extract(file: zipfile.ZipFile, name: str, facts: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    with file.open(name) as source, target.open("xb") as sink:
        while block := source.read(1 << 20):
            digest.update(block)
            sink.write(block)
    if digest.hexdigest() != facts["sha256"] or target.stat().st_size != facts["bytes"]:
        raise _not_ours(f"{name} is not as its manifest says")


def find_base(folder: Path, manifest: dict[str, Any], given: Path | None) -> Path:
    """The base model: inside the download, or the folder given if its weights are those of the manifest."""
    if (folder / "base").is_dir():
        return folder / "base"
    model = manifest["base_model"]
    wanted = f"the base model “{model['name']}” (fingerprint {model['fingerprint'][:12]})"
    if given is None or not given.is_dir():
        raise Refused(
            "model_unusable",
            f"This download needs {wanted}, which is not inside it.",
            "Give the folder of that model with --base.",
        )
    for name, sha256 in model["weights"].items():
        file = given / name
        if not file.is_file() or _sha256(file) != sha256:
            what = f"The folder given is not {wanted}."
            raise Refused("model_unusable", what, "Give the folder of that model.")
    return given


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- from folder to answers ---------------------------------------------------------------------------


class Opened:
    """A download in memory. Base answers come first, from weights that no adapter has touched yet."""

    def __init__(self, folder: Path, manifest: dict[str, Any], base: Path | None) -> None:
        from transformers import AutoTokenizer

        self._base = base
        self._is_adapter = (folder / "adapter").is_dir()
        self._artefact = folder / ("adapter" if self._is_adapter else "model")
        (check_adapter if self._is_adapter else check_model)(self._artefact)
        if base:
            check_model(base)
        self._end_token_ids: list[int] = manifest["end_token_ids"]
        self._virtual_tokens: int = manifest["recipe"].get("virtual_tokens") or 0
        self._tokenizer = _load(
            lambda: AutoTokenizer.from_pretrained(
                self._artefact, local_files_only=True, trust_remote_code=False
            )
        )

    def answer(self, prompts: list[str], options: dict[str, Any]) -> tuple[list[str], list[str]]:
        """(base answers, tuned answers); no base answers where there is no base at hand."""
        model = _load_model(self._base) if self._base else None
        base = [self._generate(model, prompt, options) for prompt in prompts] if model else []
        return base, self.answer_tuned(prompts, options, model)

    def answer_tuned(self, prompts: list[str], options: dict[str, Any], base: Any = None) -> list[str]:
        """One answer per prompt; `base` is the base model, if it is loaded already."""
        if self._is_adapter and self._base:
            tuned = _load_adapter(base or _load_model(self._base), self._artefact)
        else:
            tuned = _load_model(self._artefact)
        return [self._generate(tuned, prompt, options) for prompt in prompts]

    def _generate(self, model: Any, prompt: str, options: dict[str, Any]) -> str:
        import torch

        inputs = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        asked = inputs["input_ids"].shape[1]
        room = model.config.max_position_embeddings - self._virtual_tokens - asked
        if room < 1:
            what = "That prompt is longer than the model can read."
            raise Refused("bad_request", what, "Shorten it and ask again.")
        given = dict(options)
        torch.manual_seed(given.pop("seed", 0))
        given["max_new_tokens"] = min(given["max_new_tokens"], room)
        ends = {"eos_token_id": self._end_token_ids, "pad_token_id": self._end_token_ids[0]}
        with torch.inference_mode():
            output = model.generate(**inputs, **given, **ends)
        return self._decode(output[0, asked:])

    def _decode(self, token_ids: Any) -> str:
        text: str = self._tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        # Bytes that make no whole character: an answer that was cut inside one ends so.
        return text.replace("\ufffd", "")


def _load_model(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return _load(
        lambda: AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
    )


def _load_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        # peft only warns of weights that the file lacks; the tuned side would then be the base in disguise.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        return _load(lambda: PeftModel.from_pretrained(model, folder).eval())


def _load(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except MemoryError:
        raise
    except Exception as error:
        # The loaders raise whatever the file at hand provokes: OSError, KeyError, RuntimeError, UserWarning.
        raise damaged("its files do not fit together") from error


def check_reference(archive: Path, base: Path | None) -> tuple[dict[str, Any], int]:
    """Whether the download, opened here and now, gives the answer that its manifest promises."""
    import peft
    import transformers

    with unpacked(archive) as (folder, manifest):
        reference = manifest["reference"]
        needs_base = (folder / "adapter").is_dir()
        opened = Opened(folder, manifest, find_base(folder, manifest, base) if needs_base else None)
        options = {"max_new_tokens": reference["max_tokens"], "do_sample": False}
        answer = opened.answer_tuned([reference["prompt"]], options)[0]
    if "engine" in sys.modules:
        raise RuntimeError("the check leaned on this project")
    reproduced = answer == reference["answer"]
    libraries = f"transformers {transformers.__version__}, peft {peft.__version__}"
    return {"reproduced": reproduced, "answer": answer, "checked_with": libraries}, 0 if reproduced else 1


def compare(archive: Path, prompts: list[str], base: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    with unpacked(archive) as (folder, manifest):
        opened = Opened(folder, manifest, find_base(folder, manifest, base))
        base_answers, tuned_answers = opened.answer(prompts, options)
    answers = [
        {"prompt": prompt, "base": base_answer, "tuned": tuned_answer}
        for prompt, base_answer, tuned_answer in zip(prompts, base_answers, tuned_answers, strict=True)
    ]
    return {"method": manifest["method"], "model": manifest["base_model"]["name"], "answers": answers}


# --- command line -------------------------------------------------------------------------------------


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="opening", description="Open a voice.zip with stock libraries.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("check", "compare"):
        command = commands.add_parser(name)
        command.add_argument("archive", type=Path)
        command.add_argument("--base", type=Path, help="the base model's folder, where the zip has none")
    command.add_argument("--prompt", action="append", required=True, help="may be given several times")
    command.add_argument("--max-tokens", type=int, default=160, help="longest answer, in tokens")
    command.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token")
    command.add_argument("--seed", type=int, default=0, help="the same seed draws the same answer")
    return parser.parse_args(argv)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {"max_new_tokens": max(1, arguments.max_tokens)}
    if arguments.temperature <= 0:
        return options | {"do_sample": False}
    return options | {
        "do_sample": True,
        "temperature": arguments.temperature,
        "top_p": 0.95,
        "top_k": 0,
        "seed": arguments.seed,
    }


def _run(arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    if arguments.command == "check":
        return check_reference(arguments.archive, arguments.base)
    return compare(arguments.archive, arguments.prompt, arguments.base, _options(arguments)), 0


def main(argv: list[str]) -> int:
    # Nothing here may ask the network; set before transformers is first imported.
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    arguments = _arguments(argv)
    try:
        # What a library prints must not get into the one object that is our answer.
        with redirect_stdout(sys.stderr):
            result, code = _run(arguments)
    except Refused as refused:
        result, code = {"failure": refused.failure}, 2
    except OSError as error:
        result, code = {"failure": place_failure(error)}, 2
    print(json.dumps(result))
    return code


def place_failure(error: OSError) -> dict[str, str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, remedy = "The disk is full, so the download could not be unpacked.", "Free some space."
        return Refused("disk_full", what, remedy).failure
    return Refused("bad_request", "The file cannot be read.", "Check its name and place.").failure


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
