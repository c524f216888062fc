"""The work that estimates rest on is the work that the trainer does: torch counts along."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from torch.utils.flop_counter import FlopCounterMode

from engine.batches import Batch, make_batch
from engine.contract.records import Example, MethodName, Recipe, Turn
from engine.device import Device
from engine.encoding import encode_example
from engine.evaluation import CompletionLoss
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer
from engine.token_counts import count_tokens
from engine.work import Computing, load_batch
from tests.benchmarks.shapes import make_model

IN_ROWS = Computing(in_rows=True, precision="fp32")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "model"
    make_model("17M", folder)
    return folder


def build_batch(shared: int) -> Batch:
    """Texts of unlike lengths, which have their first `shared` tokens in common; the last 40 are learnt."""
    rows = [
        {
            "input_ids": [7] * shared + [10 + text] * (length - shared),
            "learnt": [False] * (length - 40) + [True] * 40,
        }
        for text, length in enumerate((70, 90, 101, 120))
    ]
    return make_batch(Dataset.from_list(rows).with_format("numpy"), list(range(len(rows))), pad_id=1)


@pytest.mark.parametrize("shared", [0, 25])
def test_a_step_multiplies_as_much_as_is_counted(
    method_name: MethodName, shared: int, model_folder: Path
) -> None:
    """Neither padding nor what is shared costs anything, nor the gradient of what is frozen."""
    method = get_method(method_name)
    recipe = method.build_recipe(Recipe(method=method_name), 100, read_shape(model_folder))
    model = method.prepare_model(load_base(model_folder), recipe)
    loss, batch = CompletionLoss(model, Device("cpu", "asked for"), "fp32"), build_batch(shared)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(loss(batch))

    flops = method.count_flops(read_shape(model_folder), recipe)
    load = load_batch(batch.lengths, batch.targets.numel(), batch.shared, flops, IN_ROWS)
    counted = flops.forward(load) + flops.backward(load) + flops.per_step
    assert batch.shared == shared
    # The weights of attention are made twice, low-rank maps that lie in one product cost for each other.
    assert counter.get_total_flops() == pytest.approx(counted, rel=0.06)


@pytest.mark.parametrize(
    "turns", [[], [Turn(role="user", text="Hello."), Turn(role="assistant", text="Hi.")]]
)
def test_what_all_examples_begin_with_is_known_before_the_start(
    turns: list[Turn], model_folder: Path
) -> None:
    asked = "You write for a shop that sells tents. Describe our"
    examples = [
        Example(prompt=f"{asked} {thing}.", completion="It is light.", turns=turns if number else [])
        for number, thing in enumerate(("tent", "lamp", "rope"))
    ]
    tokenizer = load_tokenizer(model_folder)
    ids = [
        encode_example(tokenizer, one.prompt, one.completion, 512, one.turns).input_ids for one in examples
    ]
    common = next(place for place, tokens in enumerate(zip(*ids, strict=False)) if len(set(tokens)) > 1)
    # A space may belong to the word after it.
    assert count_tokens(model_folder, examples).shared_tokens == pytest.approx(common, abs=1)
