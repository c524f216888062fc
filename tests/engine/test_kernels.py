"""Every kernel computes what torch computes, and the same bits whoever compiled it and however many work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, rms_norm, silu

from engine import kernels

ROOT = Path(__file__).parents[2]
EPSILON = 1e-5
# Of the largest number: what fp32 rounds, and what bf16 with its 8 bits does.
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 1e-2}
WIDER = 8

DIGEST = """
import hashlib, torch
from engine import kernels
torch.manual_seed(0)
for dtype in (torch.float32, torch.bfloat16):
    kernels.load(dtype)
    hidden, weight, wide = torch.randn(203, 70), torch.rand(70), torch.randn(203, 78).to(dtype)
    scores, gradient = torch.randn(6, 90, 45).to(dtype), torch.randn(6, 90, 45).to(dtype)
    found = [*kernels.norm_backward(wide, hidden, weight, 1e-5, hidden), scores, gradient]
    kernels.norm(hidden, weight, 1e-5, wide)
    kernels.weigh_backward(scores, gradient, 45, 0, 0.125)
    found += [wide, kernels.swiglu_backward(wide[:, :35].contiguous(), hidden.to(dtype))]
    found += [wide.clone(), kernels.cross_entropy(found[-1], torch.arange(70).repeat(3)[:203], turns=True)]
    print(hashlib.sha256(b"".join(one.float().numpy().tobytes() for one in found)).hexdigest())
print(kernels.compiling_seconds() > 0.0)
"""

LOOPS = ["_norm", "_swiglu", "_turn", "_weigh"]
LOOPS += [f"{name}_back" if name == "_turn" else f"{name}_backward" for name in LOOPS]
LOOPS += ["_cross_entropy"]

FIRST_STEP = f"""
import torch
from engine import kernels
from engine.device import Device
from engine.evaluation import CompletionLoss
from tests.engine.test_llama_body import BATCH, build_model

def show():
    for name in {LOOPS}:
        print(f"{{name}}={{len(getattr(kernels, name).signatures)}}")

loss = CompletionLoss(build_model("lora"), Device("cpu", "test"), "bf16")
loss.frozen_layers
show()
print("---")
torch.autograd.backward(loss(BATCH))
show()
"""


def draw(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def assert_alike(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    assert (found.float() - wanted.float()).abs().max() <= TOLERANCE[dtype] * wanted.float().abs().max()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rows", [1, 130])
def test_norm_and_its_way_back(rows: int, dtype: torch.dtype) -> None:
    hidden, weight = draw(rows, 50).requires_grad_(), draw(50, seed=2).requires_grad_()
    besides, gradient = draw(rows, 50, seed=3), draw(rows, 50 + WIDER, dtype=dtype, seed=4)
    out = torch.zeros(rows, 50 + WIDER, dtype=dtype)
    kernels.norm(hidden, weight, EPSILON, out)
    wanted = rms_norm(hidden, [50], weight, EPSILON)
    assert_alike(out[:, :50], wanted.detach(), dtype)
    assert not out[:, 50:].any()

    wanted.backward(gradient[:, :50].float())
    assert hidden.grad is not None
    assert weight.grad is not None
    found, of_weight = kernels.norm_backward(gradient, hidden, weight, EPSILON)
    assert_alike(found, hidden.grad, torch.float32)
    assert_alike(of_weight, weight.grad, torch.float32)
    assert torch.allclose(
        kernels.norm_backward(gradient, hidden, weight, EPSILON, besides)[0], found + besides
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_swiglu_and_its_way_back(dtype: torch.dtype) -> None:
    both, gradient = draw(37, 60, dtype=dtype) * 4, draw(37, 30 + WIDER, dtype=dtype, seed=2)
    out = torch.zeros(37, 30 + WIDER, dtype=dtype)
    kernels.swiglu(both, out)
    exact = both.float().requires_grad_()
    wanted = silu(exact[:, :30]) * exact[:, 30:]
    assert_alike(out[:, :30], wanted.detach(), dtype)
    assert not out[:, 30:].any()
    wanted.backward(gradient[:, :30].float())
    assert exact.grad is not None
    assert_alike(kernels.swiglu_backward(gradient, both), exact.grad, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("first", [0, 13])
def test_a_query_weighs_what_stands_before_it(first: int, dtype: torch.dtype) -> None:
    positions, groups, scale = 21, 2, 0.3
    keys = first + positions
    scores = draw(3, groups * positions, keys, dtype=dtype) * 20
    gradient = draw(3, groups * positions, keys, dtype=dtype, seed=2)
    ahead = torch.ones(positions, keys, dtype=torch.bool).triu_(first + 1).repeat(groups, 1)
    exact = (scores.float() * scale).masked_fill(ahead, -torch.inf).requires_grad_()
    wanted = exact.softmax(-1)
    wanted.backward(gradient.float())
    assert exact.grad is not None

    weights = scores.clone()
    kernels.weigh(weights, positions, first, scale)
    assert_alike(weights, wanted.detach(), dtype)
    assert not weights[:, ahead].any()
    kernels.weigh_backward(scores, gradient, positions, first, scale)
    assert torch.equal(scores, weights)
    assert_alike(gradient, exact.grad, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_cross_entropy_and_its_way_back(scale: float, dtype: torch.dtype) -> None:
    scores, targets = draw(9, 50, dtype=dtype) * scale, torch.arange(7) * 7
    exact = scores[:7].float().requires_grad_()
    wanted = cross_entropy(exact, targets, reduction="none")
    wanted.sum().backward()
    assert exact.grad is not None

    before = scores.clone()
    assert_alike(kernels.cross_entropy(scores, targets, turns=False), wanted.detach(), torch.float32)
    assert torch.equal(scores, before)
    assert_alike(kernels.cross_entropy(scores, targets, turns=True), wanted.detach(), torch.float32)
    assert_alike(scores[:7], exact.grad, dtype)
    assert not scores[7:].any()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_what_is_turned_back_stands_where_it_stood(dtype: torch.dtype) -> None:
    rows, heads, turning, half = 9, 5, 3, 10
    angle = draw(rows, half)
    angles, position = (angle.cos(), angle.sin()), torch.arange(rows).flip(0)
    joint = draw(rows, heads * 2 * half, dtype=dtype)
    index = torch.arange(rows * heads)
    turned = kernels.turn(joint, index, heads, position, angles)
    first, second = joint.float().view(rows, heads, 2, half).unbind(2)
    cosine, sine = (one[position][:, None] for one in angles)
    wanted = torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)
    assert_alike(turned, wanted.view(-1, 2 * half), dtype)

    back = kernels.turn_back(turned, index.view(rows, heads), turning, position, angles, 2.0)
    by_head = back.view(rows, heads, -1)
    assert_alike(by_head[:, :turning], joint.view(rows, heads, -1)[:, :turning] * 2, dtype)
    assert torch.equal(by_head[:, turning:], turned.view(rows, heads, -1)[:, turning:])


def test_a_step_loads_no_kernel_that_the_body_had_not_loaded() -> None:
    """In a process of its own: here other tests have loaded them all."""
    done = subprocess.run([sys.executable, "-c", FIRST_STEP], cwd=ROOT, capture_output=True, text=True)
    loaded, later = done.stdout.split("---")
    assert set(loaded.split()) == {f"{name}=1" for name in LOOPS}, done.stderr
    assert later.split() == loaded.split()


LOAD = """
import resource, torch
from engine import kernels
kernels.load(torch.bfloat16)
spent = kernels.compiling_seconds()
kernels.load(torch.bfloat16)
print(spent > 0, kernels.compiling_seconds() == spent, kernels._compiling.done)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_another_process_compiles_what_has_never_been_compiled(tmp_path: Path) -> None:
    """The first time it takes long, later it does not, and either way this process holds as much."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LOAD]
    (first, held_first), (later, held_later) = (
        subprocess.check_output(command, cwd=ROOT, env=environment, text=True).splitlines() for _ in range(2)
    )
    assert (first, later) == ("True True False", "False True False")
    assert int(held_first) < 1.2 * int(held_later)


def test_what_is_no_number_stays_none() -> None:
    hidden = draw(4, 16)
    hidden[2, 3] = torch.nan
    out = torch.empty_like(hidden)
    kernels.norm(hidden, torch.ones(16), EPSILON, out)
    assert out[2].isnan().all()
    assert not out[[0, 1, 3]].isnan().any()
    hidden[2] = torch.nan
    losses = kernels.cross_entropy(hidden, torch.arange(4), turns=True)
    assert losses.isnan().tolist() == [False, False, True, False]


def test_a_part_of_wider_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="lie"):
        kernels.swiglu(draw(4, 16)[:, :8], torch.empty(4, 4))


def test_compiled_or_loaded_by_one_thread_or_two_it_computes_the_same_bits(tmp_path: Path) -> None:
    def compute(threads: int) -> list[str]:
        variables = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    *numbers, has_compiled = compute(2)
    assert has_compiled == "True"
    assert compute(2) == [*numbers, "False"]
    assert compute(1) == [*numbers, "False"]
