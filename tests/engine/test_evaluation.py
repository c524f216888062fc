"""The loss is that of the plain definition, at the learnt tokens only, for every method."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from engine.batches import make_batch, plan_epoch, plan_evaluation, sizes, tokenize
from engine.contract.records import Example, MethodName, Recipe
from engine.device import Device
from engine.encoding import encode_example
from engine.evaluation import CompletionLoss, validation_loss
from engine.methods import get_method
from engine.models.inspect import read_shape
from engine.models.load import load_base, load_tokenizer

CPU = Device("cpu", "a test")


def plain_loss(model: torch.nn.Module, folder: Path, examples: list[Example]) -> float:
    """One example at a time, all logits, unpadded: the definition."""
    tokenizer, total, tokens = load_tokenizer(folder), 0.0, 0
    for example in examples:
        encoded = encode_example(tokenizer, example.prompt, example.completion, 256)
        ids = torch.tensor([encoded.input_ids])
        with torch.no_grad():
            logits = model.eval()(input_ids=ids).logits[0, -ids.shape[1] :]
        learnt = torch.tensor(encoded.learnt[1:])
        total += cross_entropy(logits[:-1][learnt], ids[0, 1:][learnt], reduction="sum").item()
        tokens += int(learnt.sum())
    return total / tokens


def test_only_completions_count_and_padding_does_not(
    method_name: MethodName, tiny_model_folder: Path, examples: list[Example]
) -> None:
    examples = [
        *examples[:3],
        examples[0].model_copy(update={"completion": "Short.", "prompt": "A longer prompt?"}),
    ]
    recipe = get_method(method_name).build_recipe(
        Recipe(method=method_name), 4, read_shape(tiny_model_folder)
    )
    model = get_method(method_name).prepare_model(load_base(tiny_model_folder), recipe)
    expected = plain_loss(model, tiny_model_folder, examples)
    data = tokenize(load_tokenizer(tiny_model_folder), examples, "train", 256)
    loss = CompletionLoss(model, CPU, "fp32")
    assert validation_loss(loss, [make_batch(data, [0, 1, 2, 3], 1)]) == pytest.approx(expected, rel=1e-4)
    assert validation_loss(
        loss, [make_batch(data, rows, 1) for rows in plan_evaluation(data, [0, 1, 2, 3])]
    ) == pytest.approx(expected, rel=1e-4)


def test_the_head_is_whole_again_after_a_loss(tiny_model_folder: Path, examples: list[Example]) -> None:
    model = load_base(tiny_model_folder)
    data = tokenize(load_tokenizer(tiny_model_folder), examples, "train", 256)
    CompletionLoss(model, CPU, "fp32")(make_batch(data, [0, 1], 1))
    assert model(input_ids=torch.ones((2, 9), dtype=torch.long)).logits.shape[:2] == (2, 9)


def test_an_evaluation_can_be_given_up(tiny_model_folder: Path, examples: list[Example]) -> None:
    data = tokenize(load_tokenizer(tiny_model_folder), examples, "validation", 256)
    loss = CompletionLoss(load_base(tiny_model_folder), CPU, "fp32")
    assert (
        validation_loss(
            loss, [make_batch(data, rows, 1) for rows in plan_evaluation(data, [0, 1])], give_up=lambda: True
        )
        is None
    )


def test_nothing_to_evaluate_gives_no_loss(tiny_model_folder: Path) -> None:
    assert validation_loss(CompletionLoss(load_base(tiny_model_folder), CPU, "fp32"), []) is None


def test_every_example_comes_once_an_epoch_and_in_another_order_each_time() -> None:
    lengths = [3 + number % 17 for number in range(100)]
    plans = [plan_epoch(lengths, 8, seed=1, epoch=epoch) for epoch in range(3)]
    assert all(sorted(row for batch in plan for row in batch) == list(range(100)) for plan in plans)
    assert all(len(plan) == 13 for plan in plans)
    assert plans[0] != plans[1] != plans[2]
    assert plans[0] == plan_epoch(lengths, 8, seed=1, epoch=0) != plan_epoch(lengths, 8, seed=2, epoch=0)


def test_the_largest_batch_comes_first_and_only_in_the_first_epoch() -> None:
    lengths = [3 + (number * 37) % 170 for number in range(100)]
    plans = [plan_epoch(lengths, 8, seed=1, epoch=epoch) for epoch in range(4)]
    sizes_of = [[sum(lengths[row] for row in batch) for batch in plan] for plan in plans]
    assert sizes_of[0][0] == max(sizes_of[0])
    assert any(found[0] < max(found) for found in sizes_of[1:])


def test_alike_lengths_share_a_batch() -> None:
    lengths = [1 + number % 50 for number in range(400)]
    batches = plan_epoch(lengths, 8, seed=0, epoch=0)
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded < 1.25 * sum(lengths)


def test_an_example_without_room_for_its_completion_is_left_out(tiny_model_folder: Path) -> None:
    rows = [Example(prompt="p" * 400, completion="c"), Example(prompt="p", completion="c")]
    data = tokenize(load_tokenizer(tiny_model_folder), rows, "train", 256)
    assert len(sizes(data)) == 1
