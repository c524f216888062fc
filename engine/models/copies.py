"""A base model written as a folder of its own, and the base model that a download fits.

Does not know what a model computes, nor how a download is opened (`engine/opening.py`).
"""

import errno
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL
from engine.models.bundled import BUNDLED
from engine.models.catalog import find_model, get_model, list_models
from engine.models.hashes import file_sha256
from engine.models.inspect import LOADED_SUFFIXES, fingerprint
from engine.workspace import Workspace

_MANIFEST = "voicewright.json"
_MANIFEST_BYTES = 4_000_000
_CARD_SUFFIXES = frozenset({".md", ""})
_CARD_STEMS = frozenset({"README", "LICENSE", "NOTICE"})


# --- a folder of its own --------------------------------------------------------------------------------


def export_model(workspace: Workspace, name: str, target: Path) -> str:
    """Write a base model, its card and its licence into a folder that is new or empty; its fingerprint.

    EngineFailure: "not_found", "bad_request" for a folder with something in it, "disk_full".
    """
    target = target.expanduser().absolute()
    _refuse_occupied(target)
    source = _ready(workspace, name)
    cards = BUNDLED.source.parent if name == BUNDLED_MODEL else source
    files = [file for file in source.iterdir() if file.is_file() and file.suffix in LOADED_SUFFIXES]
    files += [file for file in cards.iterdir() if _is_card(file) and file not in files]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            writing = Path(scratch, "model")
            writing.mkdir()
            for file in files:
                shutil.copyfile(file, writing / file.name)
            written = fingerprint(writing)
            if written != fingerprint(source):
                raise OSError(errno.EIO, "what was written is not what was read")
            writing.replace(target)
    except OSError as error:
        raise EngineFailure(
            "disk_full",
            f"The base model could not be written to {target} ({error.strerror}).",
            "Nothing else was changed.",
            "Make room, or choose another folder.",
        ) from error
    return written


def _refuse_occupied(target: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise EngineFailure(
            "bad_request",
            f"There is something at {target} already.",
            "It was not touched.",
            "Name a new folder.",
        )


def _ready(workspace: Workspace, name: str) -> Path:
    if name == BUNDLED_MODEL:
        BUNDLED.make(lambda done, total: None)
    return get_model(workspace, name)


def _is_card(file: Path) -> bool:
    return file.is_file() and file.stem in _CARD_STEMS and file.suffix in _CARD_SUFFIXES | {".txt"}


# --- the base of a download -----------------------------------------------------------------------------


def find_base_of(workspace: Workspace, archive: Path) -> Path | None:
    """The folder of the base model whose weights a download was tuned on; None if it carries its own, if
    none of this machine is the one, or if the file is no download."""
    model = _read_base_facts(archive)
    weights = model.get("weights")
    if not isinstance(weights, dict) or not weights:
        return None
    if model.get("name") == BUNDLED_MODEL:
        BUNDLED.make(lambda done, total: None)
    named_first = sorted(list_models(workspace), key=lambda one: one.name != model.get("name"))
    folders = [find_model(workspace, one.name) for one in named_first if not one.problem]
    return next((folder for folder in folders if folder and _has_weights(folder, weights)), None)


def _read_base_facts(archive: Path) -> dict[str, Any]:
    """What the manifest says of the base, unless it lies inside."""
    try:
        with zipfile.ZipFile(archive) as file:
            if file.getinfo(_MANIFEST).file_size > _MANIFEST_BYTES:
                return {}
            model = json.loads(file.read(_MANIFEST))["base_model"]
            is_inside = any(name.startswith("base/") for name in file.namelist())
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, RuntimeError, RecursionError):
        return {}
    return {} if is_inside or not isinstance(model, dict) else model


def _has_weights(folder: Path, weights: dict[str, Any]) -> bool:
    files = sorted(folder.glob("*.safetensors"))
    return {file.name for file in files} == set(weights) and all(
        file_sha256(file) == weights[file.name] for file in files
    )
