"""Our layers give what transformers' layers give, forward and back, with every method around them."""

import gc
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from engine.batches import Batch
from engine.contract.records import MethodName, Recipe
from engine.device import ATTENTION_BLOCK
from engine.llama_body import LlamaBody, can_build
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base
from tests.base_models import SMALL_MODEL

LENGTHS = (17, 20, 9)
SHARED = 4
# Of the norm of a gradient: what fp32 rounds, and what bf16 with its 8 bits does.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.04}


def build_config(**changes: Any) -> LlamaConfig:
    sizes = {
        "vocab_size": 300,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
    }
    return LlamaConfig(**(sizes | changes))


def build_model(method: MethodName, config: LlamaConfig | None = None) -> Any:
    """A random base with the method around it, its learnt parts no longer zero."""
    torch.manual_seed(0)
    base = LlamaForCausalLM(config or build_config())
    recipe = get_method(method).build_recipe(
        Recipe(method=method, virtual_tokens=20), 100, read_shape(SMALL_MODEL)
    )
    model = get_method(method).prepare_model(base, recipe)
    for name, parameter in model.named_parameters():
        if ("lora_B" in name or "mlp_head.4" in name) and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def build_batch(shared: int = SHARED) -> Batch:
    """Texts of unlike lengths which begin alike; all but a few tokens at the beginning are learnt."""
    ids = torch.randint(0, 300, (len(LENGTHS), 32), generator=torch.Generator().manual_seed(1))
    ids[:, :shared] = ids[0, :shared]
    ids[:, shared] = torch.arange(len(LENGTHS))
    places = torch.arange(32)
    learnt = (places >= 7) & (places < torch.tensor(LENGTHS)[:, None] - 1)
    targets = ids.roll(-1, dims=1)[learnt]
    return Batch(ids, learnt, targets, LENGTHS)


BATCH = build_batch()


def run_reference(model: Any, batch: Batch = BATCH) -> Tensor:
    """(learnt tokens, size): what the head of transformers' own model is given."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    seen: dict[str, Tensor] = {}
    hook = base.model.norm.register_forward_hook(lambda module, inputs, output: seen.update(last=output))
    model(input_ids=batch.input_ids, use_cache=False)
    hook.remove()
    return seen["last"][:, -batch.learnt.shape[1] :][batch.learnt]


def find_gradients(model: Any, run: Callable[[], Tensor]) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    hidden = run()
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(2))
    torch.autograd.backward((hidden * weights).sum())
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize(("shared", "block"), [(0, 512), (SHARED, 512), (SHARED, 16)])
def test_hidden_states_and_gradients_are_those_of_transformers(
    method_name: MethodName,
    shared: int,
    block: int,
    key_heads: int,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ATTENTION_BLOCK, dtype, block)
    model, batch = build_model(method_name, build_config(num_key_value_heads=key_heads)), build_batch(shared)
    assert batch.shared == shared
    assert can_build(model)
    body = LlamaBody(model, dtype)
    expected, found = run_reference(model, batch), body.run(batch)
    assert (found - expected).norm() < TOLERANCE[dtype] * expected.norm()

    wanted = find_gradients(model, lambda: run_reference(model, batch))
    ours = find_gradients(model, lambda: body.run(batch))
    assert ours.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert (ours[name] - gradient).norm() < TOLERANCE[dtype] * gradient.norm(), name


def test_what_has_been_learnt_is_seen_at_the_next_use(method_name: MethodName) -> None:
    model = build_model(method_name)
    body = LlamaBody(model, torch.float32)
    body.run(BATCH)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.5)
    assert torch.allclose(body.run(BATCH), run_reference(model), atol=1e-4)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_weights_in_the_number_format_of_the_products_are_kept_once(
    method_name: MethodName, dtype: torch.dtype
) -> None:
    maps = [joint for layer in LlamaBody(build_model(method_name), dtype).layers for joint in layer.maps]
    for joint in maps:
        places = {part.weight.untyped_storage().data_ptr() for part in joint.maps}
        joint_place = joint.weight.untyped_storage().data_ptr()
        assert (places == {joint_place}) if dtype == torch.float32 else (joint_place not in places)


@pytest.mark.parametrize("tied", [True, False])
def test_an_embedding_learns_nothing_for_its_padding(tied: bool) -> None:
    model = build_model("all-layers", build_config(pad_token_id=3, tie_word_embeddings=tied))
    ids = BATCH.input_ids.clone()
    ids[:, SHARED + 1] = 3
    batch = replace(BATCH, input_ids=ids)
    body = LlamaBody(model, torch.float32)
    wanted, ours = (
        find_gradients(model, run) for run in (partial(run_reference, model, batch), partial(body.run, batch))
    )
    name = "model.embed_tokens.weight"
    assert not wanted[name][3].any()
    assert torch.allclose(ours[name], wanted[name], atol=1e-4)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process's memory")
def test_the_models_file_is_let_go_of_once_its_weights_have_moved(
    dtype: torch.dtype, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    recipe = get_method("all-layers").build_recipe(Recipe(method="all-layers"), 100, read_shape(folder))
    model = get_method("all-layers").prepare_model(load_base(folder), recipe)
    maps = Path("/proc/self/maps")
    assert str(folder) in maps.read_text("utf-8")
    LlamaBody(model, dtype)
    gc.collect()
    assert str(folder) not in maps.read_text("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process's memory")
def test_frozen_weights_take_no_memory_beside_their_copies(
    method_name: MethodName, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    method = get_method(method_name)
    recipe = method.build_recipe(Recipe(method=method_name), 100, read_shape(folder))
    model = method.prepare_model(load_base(folder), recipe)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    all_read = resident_bytes(folder)
    assert all_read > sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad) / 2
    LlamaBody(model, torch.bfloat16)
    # Pages across the edges of a weight stay; these weights are small.
    assert resident_bytes(folder) < all_read / 4
    # What was let go of is read again from the file.
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]), name


def resident_bytes(folder: Path) -> int:
    """Of the files in the folder, as far as they lie in this process's memory; proc(5): smaps."""
    found, counts = 0, False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            counts = str(folder) in line
        elif counts and first == "Rss:":
            found += 1024 * int(rest[0])
    return found


def test_nothing_frozen_gets_a_gradient_and_frozen_layers_keep_nothing() -> None:
    model = build_model("last-layers")
    body = LlamaBody(model, torch.float32)
    assert body.frozen_layers == 1
    hidden = body.run_frozen(BATCH)
    assert not hidden.requires_grad
    gradients = find_gradients(model, lambda: body.run(replace(BATCH, hidden=hidden)))
    assert set(gradients) == {name for name, p in model.named_parameters() if p.requires_grad} - {
        name for name in gradients if "lora_" in name
    }


def test_only_where_the_first_layers_are_frozen_can_they_be_skipped() -> None:
    frozen = {
        name: LlamaBody(build_model(name), torch.float32).frozen_layers
        for name in ("all-layers", "p-tuning", "lora")
    }
    assert frozen == {"all-layers": 0, "p-tuning": 0, "lora": 0}


@pytest.mark.parametrize(
    "changes",
    [{"attention_bias": True}, {"mlp_bias": True}, {"hidden_act": "gelu"}, {"attention_dropout": 0.1}],
)
def test_other_kinds_of_llama_are_left_to_transformers(changes: dict[str, Any]) -> None:
    assert not can_build(LlamaForCausalLM(build_config(**changes)))


def test_scaled_rotary_positions_are_those_of_transformers() -> None:
    scaling = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    model = build_model("all-layers", build_config(rope_parameters=scaling))
    body = LlamaBody(model, torch.float32)
    assert torch.allclose(body.run(BATCH), run_reference(model), atol=1e-4)
