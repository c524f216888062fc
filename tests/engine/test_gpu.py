"""On an NVIDIA card: bf16 products, and layers computed twice where its memory asks for it."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import training
from engine.activation_checkpointing import checkpoint_activations
from engine.backends import StockBackend
from engine.batches import make_batch, tokenize
from engine.contract.records import MethodName, Recipe
from engine.device import Device, choose_precision, detect_device
from engine.journal import Commands, Journal
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer
from tests.base_models import SMALL_MODEL
from tests.engine.conftest import make_examples

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA graphics card answers"),
]
METHODS: list[MethodName] = ["lora", "all-layers"]


def loss_and_norm(method: MethodName, device: Device, precision: Any, doubled: bool) -> tuple[float, float]:
    torch.manual_seed(0)
    recipe = get_method(method).build_recipe(Recipe(method=method), 100, read_shape(SMALL_MODEL))
    model = get_method(method).prepare_model(load_base(SMALL_MODEL), recipe).to(device.torch).train()
    if doubled:
        checkpoint_activations(model)
    data = tokenize(load_tokenizer(SMALL_MODEL), make_examples(), "train", 256)
    batch = make_batch(data, list(range(8)), 0).to(device.torch)
    loss = StockBackend(model, device, precision).loss(batch)
    torch.autograd.backward(loss)
    gradients = [p.grad.float().norm() for p in model.parameters() if p.grad is not None]
    return loss.item(), float(torch.stack(gradients).norm())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("doubled", [False, True])
def test_the_card_computes_in_bf16_what_the_processor_computes_in_fp32(
    method: MethodName, doubled: bool
) -> None:
    card = detect_device()
    assert card.kind == "cuda"
    assert choose_precision(card, 256, 640).name == "bf16"
    loss, norm = loss_and_norm(method, card, "bf16", doubled)
    expected, expected_norm = loss_and_norm(method, Device("cpu", "a test"), "fp32", False)
    assert loss == pytest.approx(expected, rel=0.02)
    assert norm == pytest.approx(expected_norm, rel=0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("free", [0, 10**12])
def test_a_run_learns_on_the_card(
    method: MethodName, free: int, order_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "free_bytes", lambda device: free)
    ordered = order_run(method, epochs=10)
    attempt = training.Attempt(
        ordered.folder, ordered.order, Commands(os.pipe()[0]), Journal(ordered.folder.journal, 1)
    )
    result = attempt.run()
    assert result.outcome == "succeeded"
    assert attempt.progress.precision == "bf16"
    assert attempt.model.is_activation_checkpointing is (free == 0)
    losses = [line.metric.train_loss for line in ordered.journal() if line.metric and line.metric.train_loss]
    assert losses[-1] < 0.5 * losses[0]
    assert result.peak_memory_bytes > 0
