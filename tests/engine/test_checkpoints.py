"""A checkpoint that is not whole must never be trusted, and one that is must give everything back."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.checkpoints import (
    Checkpoint,
    load_newest_checkpoint,
    optimizer_tensors,
    random_tensors,
    restore_optimizer,
    restore_random,
    save_checkpoint,
)

IDENTITY = {"recipe": "lora"}


def save(folder: Path, step: int, attempt: int = 1) -> Path:
    tensors = {"weights": {"a": torch.full((64,), float(step))}, "best": {}}
    save_checkpoint(folder, step, attempt, tensors, {**IDENTITY, "progress": step})
    return folder / f"step-{step:08d}"


def load(folder: Path) -> Checkpoint | None:
    return load_newest_checkpoint(folder, IDENTITY)


def step_of(found: Checkpoint | None) -> int | None:
    return found.step if found else None


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save(tmp_path, 3)
    found = load(tmp_path)
    assert found is not None
    assert found.step == found.state["progress"] == 3
    assert torch.equal(found.tensors["weights"]["a"], torch.full((64,), 3.0))


def test_nothing_saved_is_nothing_found(tmp_path: Path) -> None:
    assert load(tmp_path / "none") is None


def test_two_are_kept_and_they_are_the_latest_by_step(tmp_path: Path) -> None:
    for step in (1, 9, 10, 100):
        save(tmp_path, step)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, Path.unlink], ids=["bit", "cut", "gone"])
@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "COMPLETE.json"])
def test_a_damaged_checkpoint_goes_to_quarantine_and_the_one_before_is_taken(
    tmp_path: Path, name: str, damage: object
) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    damage(newest / name)  # type: ignore[operator]
    assert step_of(load(tmp_path)) == 1
    assert not newest.exists()
    assert [entry.name for entry in (tmp_path / "quarantine").iterdir()] == ["000-step-00000002"]


def test_if_none_verifies_the_run_begins_anew(tmp_path: Path) -> None:
    for step in (1, 2):
        truncate(save(tmp_path, step) / "weights.safetensors")
    assert load(tmp_path) is None
    assert len(list((tmp_path / "quarantine").iterdir())) == 2


def test_a_checkpoint_of_another_recipe_is_not_taken(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert load_newest_checkpoint(tmp_path, {"recipe": "p-tuning"}) is None


def test_what_a_killed_attempt_left_half_written_is_cleared(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / ".writing-00000002").mkdir()
    (tmp_path / ".writing-00000002" / "weights.safetensors").write_bytes(b"half")
    save(tmp_path, 2)
    assert not list(tmp_path.glob(".writing-*"))
    assert step_of(load(tmp_path)) == 2


def test_a_full_disk_leaves_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)
    monkeypatch.setenv("VOICEWRIGHT_FAULT", "ckpt_manifest:1:enospc")
    monkeypatch.setattr("engine.faults._reached", {})
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 2)
    assert step_of(load(tmp_path)) == 1


def test_saving_the_same_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 1, attempt=1)
    newest = save(tmp_path, 1, attempt=2)
    assert json.loads((newest / "COMPLETE.json").read_text())["attempt"] == 2


def test_nothing_of_a_checkpoint_is_pickled(tmp_path: Path) -> None:
    assert {file.suffix for file in save(tmp_path, 1).iterdir()} == {".safetensors", ".json"}


def draw() -> tuple[float, float, float]:
    return torch.rand(1).item(), random.random(), float(np.random.rand())


def test_random_generators_go_on_where_they_were() -> None:
    draw()
    saved = random_tensors()
    drawn = draw()
    restore_random(saved)
    assert draw() == drawn


def test_an_optimizer_goes_on_with_equal_bits() -> None:
    def build(seed: int) -> tuple[dict[str, torch.nn.Parameter], torch.optim.Optimizer]:
        torch.manual_seed(seed)
        learnt = {"a": torch.nn.Parameter(torch.randn(5, 3)), "b.c": torch.nn.Parameter(torch.randn(4))}
        return learnt, torch.optim.AdamW(learnt.values(), lr=0.1, fused=True)

    def step(learnt: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        sum((value**2).sum() for value in learnt.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()

    one, first = build(0)
    step(one, first)
    other, second = build(1)
    restore_optimizer(second, other, optimizer_tensors(first, one))
    for name, value in other.items():
        value.data.copy_(one[name].data)
    step(one, first)
    step(other, second)
    assert all(torch.equal(one[name], other[name]) for name in one)
