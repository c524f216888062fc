"""Turns a GGUF file into an ordinary `transformers` folder in bf16, without torch or transformers.

    config.json  generation_config.json  model.safetensors  tokenizer.json  tokenizer_config.json  README.md

Puts together the header (`gguf_file.py`), the architecture (`gguf_layout.py`), the weights and the tokenizer.
Does not know where such a folder is kept.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.models.card import write_card
from engine.models.gguf_file import GgufFile, read_gguf
from engine.models.gguf_layout import dominant_format, list_targets, render_config
from engine.models.gguf_tokenizer import Special, write_tokenizer
from engine.models.gguf_weights import Target, write_weights

WEIGHTS = "model.safetensors"
REPETITION_PENALTY = 1.1
"""GGUF has no field for it, and small models go in circles without: of ten answers of SmolLM2-135M-Instruct
to prompts of the sample voice, at temperature 0.5, one repeated a word to its end; with 1.1 none did, and
with 1.2 they left their subject. Ollama takes 1.1 where its Modelfile says nothing."""


def import_gguf(source: Path, folder: Path, progress: Callable[[int, int], None]) -> GgufFile:
    """Fill an empty folder; `progress` is told the bytes written so far and in all.

    The small files come first: what is wrong with a file is mostly found before its weights are read.
    Raises EngineFailure("model_unusable") with the reason, OSError if the folder cannot be written.
    """
    file = read_gguf(source)
    targets = list_targets(file)
    config = render_config(file)
    special = write_tokenizer(file.metadata, config["vocab_size"], config["max_position_embeddings"], folder)
    _write_json(folder / "config.json", config | _special_ids(special))
    _write_json(folder / "generation_config.json", _generation(special))
    _write_card(file, folder)
    write_weights(source, targets, folder / WEIGHTS, _Counter(targets, progress))
    return file


class _Counter:
    """Adds up what several threads have written."""

    def __init__(self, targets: list[Target], report: Callable[[int, int], None]) -> None:
        self._total = sum(target.bytes for target in targets)
        self._report = report
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, written: int) -> None:
        with self._lock:
            self._done += written
            self._report(self._done, self._total)


def _write_card(file: GgufFile, folder: Path) -> None:
    """What the file says of its licence and languages, and what its weights were."""
    languages = file.metadata.get("general.languages")
    form = dominant_format(file)
    fields = {
        "license": _line(file.metadata.get("general.license")),
        "language": [_line(code) for code in languages[:200]] if isinstance(languages, list) else [],
        "quantised_from": form,
    }
    kept = f"a copy with weights in the format {form}" if form else "a copy"
    write_card(folder, fields, f"Unpacked by Voicewright from {kept}, into bf16.")


def _line(value: Any) -> str:
    return " ".join(str(value).split())[:200] if isinstance(value, str) else ""


def _special_ids(special: Special) -> dict[str, Any]:
    return {f"{name}_token_id": special.ids.get(name) for name in ("bos", "eos", "pad")}


def _generation(special: Special) -> dict[str, Any]:
    ends = special.ends[0] if len(special.ends) == 1 else list(special.ends)
    ids = {name: number for name, number in _special_ids(special).items() if number is not None}
    return ids | {"eos_token_id": ends, "repetition_penalty": REPETITION_PENALTY}


def _write_json(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
