"""Layers computed twice learn the same in less memory, where memory asks for it and nowhere else."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import training
from engine.activation_checkpointing import STOCK_KEEPS, checkpoint_activations, needs_checkpointing
from engine.backends import StockBackend
from engine.batches import Batch
from engine.contract.records import MethodName, Recipe
from engine.device import Device
from engine.journal import Commands, Journal
from engine.machine import Precision
from engine.methods import get_method
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_base
from engine.work import Computing, Tokens, count_batch_bytes
from tests.engine.conftest import make_tiny_model

CPU = Device("cpu", "a test")
TEXTS, LENGTH, PROMPT = 4, 96, 32


@pytest.fixture(scope="module", params=["qwen2", "gemma2", "phi3", "olmo2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "head_dim": 32}
    return make_tiny_model(tmp_path_factory.mktemp("models") / request.param, request.param, **sizes)


def build_batch() -> Batch:
    ids = torch.randint(6, 200, (TEXTS, LENGTH), generator=torch.Generator().manual_seed(1))
    learnt = torch.zeros(TEXTS, LENGTH, dtype=torch.bool)
    learnt[:, PROMPT - 1 : -1] = True
    return Batch(ids, learnt, ids.roll(-1, dims=1)[learnt], (LENGTH,) * TEXTS)


def prepare(folder: Path, method: MethodName, saves: bool) -> Any:
    torch.manual_seed(0)
    recipe = get_method(method).build_recipe(Recipe(method=method, virtual_tokens=4), 100, read_shape(folder))
    model = get_method(method).prepare_model(load_base(folder), recipe).train()
    if saves:
        checkpoint_activations(model)
    return model


def run(model: Any, precision: Precision) -> tuple[float, dict[str, torch.Tensor], int]:
    """Loss, gradients, and the bytes that autograd kept for them."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = StockBackend(model, CPU, precision).loss(build_batch())
    size = sum(storage.nbytes() for storage in kept.values())
    torch.autograd.backward(loss)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), gradients, size


def test_the_same_is_learnt_in_less_memory(folder: Path, method_name: MethodName) -> None:
    loss, gradients, kept = run(prepare(folder, method_name, saves=False), "fp32")
    again, found, kept_less = run(prepare(folder, method_name, saves=True), "fp32")
    assert again == loss
    assert found.keys() == gradients.keys()
    assert all(torch.equal(found[name], gradient) for name, gradient in gradients.items())
    assert kept_less < kept / 2


def test_no_gradient_travels_below_what_learns(folder: Path) -> None:
    model = prepare(folder, "last-layers", saves=True)
    seen: list[torch.Tensor] = []
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: seen.append(output))
    StockBackend(model, CPU, "fp32").loss(build_batch())
    assert not seen[0].requires_grad


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_more_is_kept_than_is_allowed_for(
    folder: Path, method_name: MethodName, precision: Precision
) -> None:
    shape = read_shape(folder)
    recipe = get_method(method_name).build_recipe(Recipe(method=method_name, virtual_tokens=4), 100, shape)
    texts = [[Tokens(PROMPT, LENGTH - PROMPT)] * TEXTS]
    computing = Computing(in_rows=False, precision=precision)
    counted = count_batch_bytes(read_shape(folder), recipe, texts, [], computing)
    _, _, kept = run(prepare(folder, method_name, saves=False), precision)
    copies = 2 * read_shape(folder).parameters if precision == "bf16" else 0
    assert kept - copies < STOCK_KEEPS * counted


def test_only_a_stock_model_that_finds_no_room_is_computed_twice(folder: Path) -> None:
    shape = read_shape(folder)
    recipe = get_method("lora").build_recipe(Recipe(method="lora"), 100, shape)
    examples = [(LENGTH, LENGTH - PROMPT)] * 8

    def needs(free: int, in_rows: bool = False) -> bool:
        computing = Computing(in_rows=in_rows, precision="fp32")
        return needs_checkpointing(shape, recipe, examples, examples[:1], computing, free)

    assert needs(free=10_000_000)
    assert not needs(free=10_000_000_000)
    assert not needs(free=10_000_000, in_rows=True)


@pytest.mark.parametrize("folder", ["qwen2"], indirect=True)
@pytest.mark.parametrize(("free", "doubled"), [(0, True), (10**12, False)])
def test_a_run_asks_for_it_by_itself(
    free: int, doubled: bool, folder: Path, order_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "free_bytes", lambda device: free)
    monkeypatch.setenv("VOICEWRIGHT_PRECISION", "fp32")
    ordered = order_run("lora", epochs=1)
    order = ordered.order.model_copy(
        update={"base_model_folder": folder, "base_model_fingerprint": fingerprint(folder)}
    )
    attempt = training.Attempt(
        ordered.folder, order, Commands(os.pipe()[0]), Journal(ordered.folder.journal, 1)
    )
    assert attempt.run().outcome == "succeeded"
    assert attempt.model.is_activation_checkpointing is doubled
