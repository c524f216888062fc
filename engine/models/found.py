"""Models that other programs keep on this machine: Hugging Face's cache, Ollama, LM Studio, the downloads.

Reads names, sizes and a few small JSON files; opens no weights besides their first four bytes. Whether a
model can be tuned is found out when it is added. Layouts:
https://huggingface.co/docs/huggingface_hub/guides/manage-cache,
https://github.com/ollama/ollama/blob/main/docs/faq.mdx (where models are stored), and the folder `models` of
LM Studio.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.contract.records import FoundModel
from engine.models.architecture import MODEL_TYPES

GGUF_MAGIC = b"GGUF"
FOUND_AT_MOST = 40
_DEPTH = 4
_ENTRIES_AT_MOST = 5_000
_OLLAMA_WEIGHTS = "application/vnd.ollama.image.model"
# A projector for pictures, or a later part of a model in several files.
_NO_MODEL = re.compile(r"mmproj|-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


def find_models(
    home: Path, known: Iterable[str] = (), environment: Mapping[str, str] = os.environ
) -> list[FoundModel]:
    """By program and title, without those that lie where a known one does."""
    hub = Path(
        environment.get("HF_HUB_CACHE")
        or Path(environment.get("HF_HOME") or home / ".cache/huggingface", "hub")
    )
    ollama = Path(environment.get("OLLAMA_MODELS") or home / ".ollama/models")
    found = [
        *_in_hub(hub),
        *_in_ollama(ollama),
        *(_gguf(file, "LM Studio") for place in _LM_STUDIO for file in _gguf_files(home / place, _DEPTH)),
        *(_gguf(file, "Downloads") for file in _gguf_files(home / "Downloads", 1)),
    ]
    taken = set(known)
    return [model for model in found if str(Path(model.path).resolve()) not in taken][:FOUND_AT_MOST]


_LM_STUDIO = (".lmstudio/models", ".cache/lm-studio/models")


def is_gguf(file: Path) -> bool:
    """Whether it begins as a GGUF file does; Ollama's have no ending."""
    try:
        with file.open("rb") as stream:
            return stream.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False


def is_model_folder(folder: Path) -> bool:
    """Whether it holds the configuration of a kind that can be tuned, and weights."""
    config = _read_json(folder / "config.json")
    return config.get("model_type") in MODEL_TYPES and any(folder.glob("*.safetensors"))


def _in_hub(hub: Path) -> Iterator[FoundModel]:
    for repository in _sorted(hub.glob("models--*--*")):
        snapshots = [folder for folder in (repository / "snapshots").glob("*") if is_model_folder(folder)]
        if snapshots:
            newest = max(snapshots, key=_changed)
            size = sum(map(_size, _sorted(newest.glob("*"))))
            title = "/".join(repository.name.split("--")[1:])
            yield FoundModel(title=title, path=str(newest), bytes=size, source="Hugging Face")


def _in_ollama(models: Path) -> Iterator[FoundModel]:
    """A manifest, at manifests/HOST/NAMESPACE/NAME/TAG, names the file of its weights by its digest."""
    manifests = models / "manifests"
    for manifest in _sorted(manifests.glob("*/*/*/*")):
        for layer in _layers(manifest):
            blob = models / "blobs" / str(layer.get("digest", "")).replace(":", "-")
            if layer.get("mediaType") == _OLLAMA_WEIGHTS and is_gguf(blob):
                host, namespace, name, tag = manifest.relative_to(manifests).parts
                owner = "" if namespace == "library" else f"{namespace}/"
                where = "" if host == "registry.ollama.ai" else f"{host}/"
                yield FoundModel(
                    title=f"{where}{owner}{name}:{tag}",
                    path=str(blob),
                    bytes=_size(blob),
                    source="Ollama",
                )


def _layers(manifest: Path) -> list[dict[str, Any]]:
    layers = _read_json(manifest).get("layers")
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _gguf_files(folder: Path, depth: int) -> Iterator[Path]:
    seen = 0
    for place, folders, names in os.walk(folder):
        if len(Path(place).relative_to(folder).parts) >= depth - 1:
            folders.clear()
        folders.sort()
        for name in sorted(names):
            seen += 1
            file = Path(place, name)
            is_named_so = name.lower().endswith(".gguf") and not _NO_MODEL.search(name)
            if seen <= _ENTRIES_AT_MOST and is_named_so and is_gguf(file):
                yield file


def _gguf(file: Path, source: Any) -> FoundModel:
    return FoundModel(title=file.stem, path=str(file), bytes=_size(file), source=source)


def _size(file: Path) -> int:
    """0 for one that is none, or vanished meanwhile."""
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def _changed(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _sorted(paths: Iterable[Path]) -> list[Path]:
    with suppress(OSError):
        return sorted(paths)[:_ENTRIES_AT_MOST]
    return []


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8")) if file.stat().st_size < 1_000_000 else None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
