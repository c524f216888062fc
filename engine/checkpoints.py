"""Checkpoints that count only when they are whole: safetensors and JSON, and a manifest written last.

    step-00000120/   weights.safetensors optimizer.safetensors random.safetensors best.safetensors state.json
                     COMPLETE.json   {"step", "attempt", "files": {name: [bytes, sha256]}}

A checkpoint appears by one rename, after every file of it is on disk. What does not verify goes to
quarantine/.
Knows files, tensors and random generators. Does not know what a step is or when one is saved.
"""

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from engine import faults
from engine.workspace import publish_synced, sync_file, write_durably

Tensors = dict[str, torch.Tensor]
MANIFEST = "COMPLETE.json"
STATE = "state.json"
KEPT = 2
FORMAT = 1
"""Grows whenever what a checkpoint keeps changes its meaning: an older one is then not gone on from."""
_DAMAGE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Checkpoint:
    """A certified checkpoint: `tensors` by file (weights, optimizer, random, best), `state` as values."""

    step: int
    tensors: dict[str, Tensors]
    state: dict[str, Any]


# --- writing ------------------------------------------------------------------------------------------


def save_checkpoint(
    folder: Path, step: int, attempt: int, tensors: Mapping[str, Tensors], state: Mapping[str, Any]
) -> None:
    """Write and certify one checkpoint, then drop all but the newest two."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unfinished(folder)
    writing = folder / f".writing-{step:08d}"
    writing.mkdir()
    for name, group in tensors.items():
        _save_tensors(writing / f"{name}.safetensors", group)
    write_durably(writing / STATE, json.dumps(state).encode())
    manifest = {"step": step, "attempt": attempt, "files": _describe_files(writing)}
    faults.reach("ckpt_manifest")
    write_durably(writing / MANIFEST, json.dumps(manifest).encode())
    publish_synced(writing, folder / f"step-{step:08d}")
    _prune(folder)


def remove_unfinished(folder: Path) -> None:
    """Clear what an attempt left half written when it was killed."""
    for left in folder.glob(".writing-*"):
        shutil.rmtree(left)


def _save_tensors(file: Path, tensors: Tensors) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)
    faults.reach("ckpt_file")
    sync_file(file)


def _describe_files(folder: Path) -> dict[str, tuple[int, str]]:
    return {file.name: (file.stat().st_size, _sha256(file)) for file in sorted(folder.iterdir())}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _prune(folder: Path) -> None:
    # By step number: a clock that was set back must not make the newest look oldest.
    for old in _by_step(folder)[KEPT:]:
        shutil.rmtree(old)


def _by_step(folder: Path) -> list[Path]:
    """Newest first. Eight digits sort as numbers do."""
    return sorted((entry for entry in folder.glob("step-*") if entry.is_dir()), reverse=True)


# --- reading ------------------------------------------------------------------------------------------


def load_newest_checkpoint(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """The newest that verifies and whose state holds all of `identity`; newer ones go to quarantine."""
    for candidate in _by_step(folder):
        try:
            return _load(candidate, identity)
        except _DAMAGE:
            _quarantine(candidate)
    return None


def _load(folder: Path, identity: Mapping[str, Any]) -> Checkpoint:
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    files = {name: tuple(described) for name, described in manifest["files"].items()}
    for name, (size, digest) in files.items():
        if (folder / name).stat().st_size != size or _sha256(folder / name) != digest:
            raise ValueError(f"{name} is not what was written")
    state = json.loads((folder / STATE).read_text("utf-8"))
    if any(state.get(key) != value for key, value in identity.items()):
        raise ValueError("made by another recipe, dataset or base model")
    tensors = {Path(name).stem: load_file(folder / name) for name in files if name.endswith(".safetensors")}
    return Checkpoint(int(manifest["step"]), tensors, state)


def _quarantine(folder: Path) -> None:
    """Out of the way but not lost: someone may want to know what happened to it."""
    place = folder.parent / "quarantine"
    place.mkdir(exist_ok=True)
    number = sum(1 for _ in place.iterdir())
    folder.rename(place / f"{number:03d}-{folder.name}")


# --- what a training consists of, as tensors ------------------------------------------------------------


def copy_tensors(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """A copy in main memory that further steps do not touch."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


@torch.no_grad()
def restore_tensors(into: Mapping[str, torch.Tensor], saved: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(saved[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer, learnt: Mapping[str, torch.Tensor]) -> Tensors:
    """The optimizer's moments as `parameter name/moment`."""
    return {
        f"{name}/{moment}": value
        for name, parameter in learnt.items()
        for moment, value in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, learnt: Mapping[str, torch.Tensor], saved: Tensors
) -> None:
    for key, value in saved.items():
        name, moment = key.rsplit("/", 1)
        # Only the fused kernels keep the step count beside the weights.
        counts_here = moment == "step" and not optimizer.defaults.get("fused")
        place = torch.device("cpu") if counts_here else learnt[name].device
        optimizer.state[learnt[name]][moment] = value.to(place, copy=True)


def random_tensors() -> Tensors:
    """The state of every random generator a library could draw from, as bytes."""
    kind, keys, *rest = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "python": _as_bytes(random.getstate()),
        "numpy": _as_bytes([kind, np.asarray(keys).tolist(), *rest]),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(saved: Tensors) -> None:
    torch.set_rng_state(saved["torch"])
    version, numbers, gauss = _from_bytes(saved["python"])
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(_from_bytes(saved["numpy"])))
    if "cuda" in saved and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])


def _as_bytes(value: Any) -> torch.Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _from_bytes(tensor: torch.Tensor) -> Any:
    return json.loads(tensor.numpy().tobytes())
