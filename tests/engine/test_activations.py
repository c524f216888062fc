"""Activations kept: those computed anew but for the rounding to bf16, with the same bits after a resume."""

from pathlib import Path

import pytest
import torch

from engine.activations import Activations
from engine.batches import make_batch, plan_epoch, sizes, tokenize
from engine.contract.records import Example, Recipe
from engine.device import Device
from engine.evaluation import CompletionLoss
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer


@pytest.fixture
def setting(tiny_model_folder: Path, examples: list[Example]):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    recipe = get_method("last-layers").build_recipe(
        Recipe(method="last-layers"), 8, read_shape(tiny_model_folder)
    )
    model = get_method("last-layers").prepare_model(load_base(tiny_model_folder), recipe)
    data = tokenize(load_tokenizer(tiny_model_folder), examples, "train", 256)
    first = plan_epoch([tokens for tokens, _ in sizes(data)], 2, 1, 0)
    return CompletionLoss(model, Device("cpu", "a test"), "fp32"), data, first


def test_the_loss_is_that_without_them_but_for_the_rounding(setting, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    loss, data, first = setting
    kept = Activations(loss, data, first, 1, tmp_path)
    for rows in (first[0], [0, 1, 2], first[0]):
        with_them, without = loss(kept.make_batch(rows)), loss(make_batch(data, rows, 1))
        assert with_them.item() == pytest.approx(without.item(), rel=2e-3)
        assert with_them.item() != without.item()


def test_the_frozen_layers_see_each_text_once(
    setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    loss, data, first = setting
    seen: list[int] = []
    run = loss.run_frozen
    monkeypatch.setattr(loss, "run_frozen", lambda batch: seen.append(len(batch.input_ids)) or run(batch))
    kept = Activations(loss, data, first, 1, tmp_path)
    for _ in range(3):
        for rows in first:
            kept.make_batch(rows)
    assert sum(seen) == len(data)


def test_whatever_is_asked_for_first_the_bits_are_the_same(setting, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    loss, data, first = setting
    forwards, backwards = (Activations(loss, data, first, 1, tmp_path) for _ in range(2))
    rows = list(range(len(data)))
    for row in reversed(rows):
        backwards.make_batch([row])
    assert torch.equal(forwards.make_batch(rows).hidden, backwards.make_batch(rows).hidden)


def test_large_ones_lie_in_a_file_that_nobody_finds_afterwards(
    setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    loss, data, first = setting
    small = Activations(loss, data, first, 1, tmp_path).make_batch(first[0]).hidden
    monkeypatch.setattr("engine.activations._IN_MEMORY_BYTES", 0)
    large = Activations(loss, data, first, 1, tmp_path).make_batch(first[0]).hidden
    assert torch.equal(small, large)
    assert list(tmp_path.iterdir()) == []
