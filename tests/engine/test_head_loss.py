"""The loss in pieces is the loss, and its gradients are those of autograd."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from engine.device import SCORES_AT_ONCE
from engine.head_loss import summed_cross_entropy


def build_inputs(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    rows = torch.randn(count, 16, generator=random)
    weight = torch.randn(50, 16, generator=random)
    targets = torch.randint(0, 50, (count,), generator=random)
    return rows, weight, targets


@pytest.mark.parametrize("count", [1, 127, 128, 300])
@pytest.mark.parametrize("learns_weight", [True, False])
def test_value_and_gradients_are_those_of_the_definition(
    count: int, learns_weight: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCORES_AT_ONCE, torch.float32, 1)
    rows, weight, targets = build_inputs(count)
    results = []
    for make in (
        lambda r, w: cross_entropy(r @ w.t(), targets, reduction="sum"),
        lambda r, w: summed_cross_entropy(r, w, targets, torch.float32),
    ):
        ours, head = rows.clone().requires_grad_(), weight.clone().requires_grad_(learns_weight)
        loss = make(ours, head)
        torch.autograd.backward(loss / 7)
        results.append((loss.detach(), ours.grad, head.grad))
    (value, row_gradient, head_gradient), found = results
    assert torch.allclose(found[0], value, rtol=1e-5)
    assert torch.allclose(found[1], row_gradient, atol=1e-5)
    assert (found[2] is None) == (not learns_weight)
    if head_gradient is not None:
        assert torch.allclose(found[2], head_gradient, atol=1e-4)


def test_scores_in_bf16_make_the_gradients_of_fp32_but_for_its_rounding() -> None:
    rows, weight, targets = build_inputs(300)
    ours, exact = (tensor.clone().requires_grad_() for tensor in (rows, rows))
    torch.autograd.backward(summed_cross_entropy(ours, weight, targets, torch.bfloat16))
    torch.autograd.backward(cross_entropy(exact @ weight.t(), targets, reduction="sum"))
    assert ours.grad is not None
    assert exact.grad is not None
    assert (ours.grad - exact.grad).norm() < 0.02 * exact.grad.norm()


def test_without_gradients_none_are_made() -> None:
    rows, weight, targets = build_inputs(5)
    loss = summed_cross_entropy(rows, weight, targets, torch.float32)
    assert not loss.requires_grad
    assert torch.allclose(loss, cross_entropy(rows @ weight.t(), targets, reduction="sum"), rtol=1e-5)
