"""What a layer and the loss do number by number, each in one pass over memory where torch makes one a sum.

Compiled by numba for this processor when first called, and kept beside this file. Rows are shared out between
threads; how many there are changes no sum. Where numba finds GNU's OpenMP, they are those that make torch's
products: two teams would be in each other's way. An array (rows, columns) may have more columns than are
read or written. `Numbers` are in fp32 or in bf16; all is computed in fp32. Knows arrays and formulas. Does
not know layers.
"""

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import config, njit, prange, set_num_threads, types
from numba.core.event import TimingListener, register
from numba.extending import intrinsic, overload
from torch import Tensor

from engine.kernel_cache import load_loops

_FAST = {"reassoc", "nnan", "nsz", "arcp", "contract"}
_ONE = np.float32(1.0)
_ROWS_SUMMED = 64
"""So many rows at a time are summed up, whatever the number of threads."""


_compiled_elsewhere: list[float] = []
"""Seconds that this process has waited for another one to compile."""
_compiling = TimingListener()
register("numba:compile", _compiling)


# --- for layers -------------------------------------------------------------------------------------------


def norm(hidden: Tensor, weight: Tensor, epsilon: float, out: Tensor) -> None:
    """RMSNorm (arXiv 1910.07467): the rows of `hidden` (rows, size) in fp32, normed, into `out` (Numbers)."""
    _norm(_array(hidden), _array(weight), np.float32(epsilon), _array(out))


def norm_backward(
    gradient: Tensor, hidden: Tensor, weight: Tensor, epsilon: float, besides: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Gradients of the rows (rows, size), `besides` added, and of the weight (size), both in fp32.

    `gradient` (rows, at least size; Numbers) is that of the normed rows; `besides` (rows, size) in fp32.
    """
    found = torch.empty_like(hidden)
    parts = hidden.new_empty(-(-len(hidden) // _ROWS_SUMMED), hidden.shape[1])
    beside = _array(hidden[:0] if besides is None else besides)
    _norm_backward(
        _array(gradient),
        _array(hidden),
        _array(weight),
        np.float32(epsilon),
        beside,
        _array(found),
        _array(parts),
    )
    return found, parts.sum(0)


def swiglu(gate_and_up: Tensor, out: Tensor) -> None:
    """SwiGLU (arXiv 2002.05202): (rows, 2 x inner) -> `out` (rows, at least inner), all Numbers."""
    _swiglu(_array(gate_and_up), _array(out))


def swiglu_backward(gradient: Tensor, gate_and_up: Tensor) -> Tensor:
    """Gradient of `gate_and_up` (rows, 2 x inner) from that of what `swiglu` wrote (rows, at least inner)."""
    found = torch.empty_like(gate_and_up)
    _swiglu_backward(_array(gradient), _array(gate_and_up), _array(found))
    return found


def weigh(scores: Tensor, positions: int, first: int, scale: float) -> None:
    """In place, what each query gives to each key: scores (batch, groups x positions, keys) become weights.

    Query `i` stands at position `first` + `i` modulo `positions`, and gives nothing to any key behind it.
    """
    _weigh(_array(scores), positions, first, np.float32(scale))


def weigh_backward(scores: Tensor, gradient: Tensor, positions: int, first: int, scale: float) -> None:
    """In place: `scores` become weights as in `weigh`, the weights' `gradient` that of the scaled scores."""
    _weigh_backward(_array(scores), _array(gradient), positions, first, np.float32(scale))


def turn(rows: Tensor, index: Tensor, width: int, position: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Heads picked out of rows and turned by their positions: (rows, heads x size) -> (len(index), size).

    Rotary positions (arXiv 2104.09864), the halves of a head as the two coordinates. `index` counts heads,
    `width` of them to a row; `angles`: cosine and sine, (positions, half a size) in fp32.
    """
    cosine, sine = angles
    found = rows.new_empty(len(index), 2 * cosine.shape[1])
    _turn(
        _array(rows),
        _array(index),
        width,
        _array(position),
        _array(cosine),
        _array(sine),
        _array(found),
        torch.get_num_threads(),
    )
    return found


def turn_back(
    gradients: Tensor,
    index: Tensor,
    turning: int,
    position: Tensor,
    angles: tuple[Tensor, Tensor],
    scale: float,
) -> Tensor:
    """(heads, size) -> (tokens, heads of a row x size): the first `turning` of a row turned back and scaled.

    `index` (tokens, heads of a row) says which head goes where.
    """
    cosine, sine = angles
    backward = -sine
    found = gradients.new_empty(index.numel(), gradients.shape[1])
    _turn_back(
        _array(gradients),
        _array(index.view(-1)),
        index.shape[1],
        turning,
        _array(position),
        _array(cosine),
        _array(backward),
        np.float32(scale),
        _array(found),
        torch.get_num_threads(),
    )
    return found.view(len(index), -1)


def cross_entropy(scores: Tensor, targets: Tensor, turns: bool) -> Tensor:
    """In nats, (len(targets)) in fp32, of scores (at least as many rows, vocabulary; Numbers).

    If it `turns` them, each row of scores becomes the gradient of its loss, 0 where there is no target.
    """
    losses = torch.empty(len(targets))
    _cross_entropy(_array(scores), _array(targets), turns, _array(losses), torch.get_num_threads())
    if turns:
        scores[len(targets) :] = 0.0
    return losses


def load(dtype: torch.dtype) -> None:
    """Load every loop for Numbers in `dtype`, so that the first step need not wait for it."""
    scores = types.uint16 if dtype == torch.bfloat16 else types.float32
    command = f"import torch; from engine import kernels; kernels.load_here({dtype})"
    waited = load_loops(
        globals(),
        lambda: load_here(dtype),
        command,
        _cross_entropy,
        lambda signature: signature[0].dtype == scores,
    )
    _compiled_elsewhere.append(waited)


def load_here(dtype: torch.dtype) -> None:
    """The same in this process, whatever it takes."""
    set_num_threads(min(torch.get_num_threads(), config.NUMBA_NUM_THREADS))
    hidden, weight, numbers = torch.zeros(1, 2), torch.ones(2), torch.zeros(1, 2, dtype=dtype)
    norm(hidden, weight, 1.0, numbers)
    norm_backward(numbers, hidden, weight, 1.0)
    gate_and_up = torch.zeros(1, 4, dtype=dtype)
    swiglu(gate_and_up, numbers)
    swiglu_backward(numbers, gate_and_up)
    scores = torch.zeros(1, 1, 1, dtype=dtype)
    weigh(scores, 1, 0, 1.0)
    weigh_backward(scores, torch.zeros_like(scores), 1, 0, 1.0)
    index, angles = torch.zeros(1, dtype=torch.int64), (torch.zeros(1, 1), torch.zeros(1, 1))
    turn(numbers, index, 1, index, angles)
    turn_back(numbers, index.view(1, 1), 1, index, angles, 1.0)
    cross_entropy(numbers, index, turns=True)


def compiling_seconds() -> float:
    """How long this process has compiled, or waited for it: 0 where an earlier one had compiled all."""
    return sum(_compiled_elsewhere) + (float(_compiling.duration) if _compiling.done else 0.0)


def _array(tensor: Tensor) -> Any:
    """The same memory for numpy, which has no bf16: there its bits.

    ValueError for a part of wider rows: numba would compile for it apart, to code that is many times as slow
    and adds up in another order.
    """
    if not tensor.is_contiguous():
        raise ValueError(f"rows of {tuple(tensor.shape)} that lie {tensor.stride()} apart")
    plain = tensor.detach()
    return (plain.view(torch.uint16) if plain.dtype == torch.bfloat16 else plain).numpy()


# --- numbers ----------------------------------------------------------------------------------------------


@intrinsic
def _bits(context: Any, number: Any) -> Any:
    """The bits of a number in fp32."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def _number(context: Any, bits: Any) -> Any:
    """The number in fp32 that these bits mean."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _larger(context: Any, one: Any, other: Any) -> Any:
    """The larger of two numbers in fp32, in the one form that is compared for sixteen at once."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        compare = builder.module.declare_intrinsic(
            "llvm.maxnum", [ir.FloatType()], ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 2)
        )
        return builder.call(compare, arguments, fastmath=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), generate


def _get(row: Any, place: int) -> Any:
    """In fp32."""


@overload(_get, inline="always")
def _compile_get(row: Any, place: Any) -> Any:
    if row.dtype == types.uint16:

        def get(row: Any, place: Any) -> Any:
            return _number(np.uint32(row[place]) << np.uint32(16))
    else:

        def get(row: Any, place: Any) -> Any:
            return row[place]

    return get


def _put(row: Any, place: int, number: Any) -> None:
    """Rounded to the nearest, half to the even one."""


@overload(_put, inline="always")
def _compile_put(row: Any, place: Any, number: Any) -> Any:
    if row.dtype == types.uint16:

        def put(row: Any, place: Any, number: Any) -> Any:
            bits = _bits(number)
            even = (bits >> np.uint32(16)) & np.uint32(1)
            row[place] = np.uint16((bits + np.uint32(0x7FFF) + even) >> np.uint32(16))
    else:

        def put(row: Any, place: Any, number: Any) -> Any:
            row[place] = number

    return put


_LOG2_E = np.float32(1.44269504)
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_TO_INTEGER = np.float32(12582912.0)
_C0, _C1, _C2, _C3, _C4, _C5 = (np.float32(1.0 / divisor) for divisor in (2, 6, 24, 120, 720, 5040))


@njit(fastmath=_FAST - {"reassoc"})
def _exp(number: Any) -> Any:
    """e to the power of a number, to some 1e-7 of it: 2 ^ n times a Taylor series on the rest, |r| < 0.35.

    Written out because only what is written out is computed for sixteen numbers at once. Its order of adding
    must be kept: what is added and taken away again rounds to a whole number. Beyond 80 either way it is what
    it is there: processors are slow with numbers as small as would come next.
    """
    number = number if number > np.float32(-80.0) else np.float32(-80.0)
    number = number if number < np.float32(80.0) else np.float32(80.0)
    shifted = number * _LOG2_E + _TO_INTEGER
    whole = shifted - _TO_INTEGER
    rest = (number - whole * _LN_2_HIGH) - whole * _LN_2_LOW
    series = _C0 + rest * (_C1 + rest * (_C2 + rest * (_C3 + rest * (_C4 + rest * _C5))))
    series = _ONE + rest + rest * rest * series
    return series * _number((_bits(shifted) - np.uint32(0x4B400000) + np.uint32(127)) << np.uint32(23))


@njit(inline="always")
def _sigmoid(number: Any) -> Any:
    return _ONE / (_ONE + _exp(-number))


# --- loops ------------------------------------------------------------------------------------------------


def _compiled(loop: Any) -> Any:
    return njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath=_FAST)(loop)


@njit(inline="always")
def _part(count: int, number: int, parts: int) -> Any:
    """Where the part of this number of range(count) begins and ends."""
    return count * number // parts, count * (number + 1) // parts


@_compiled
def _norm(hidden: Any, weight: Any, epsilon: Any, out: Any) -> None:
    size = hidden.shape[1]
    for row in prange(len(hidden)):
        here, there = hidden[row], out[row]
        square = np.float32(0.0)
        for place in range(size):
            square += here[place] * here[place]
        inverse = _ONE / np.sqrt(square / np.float32(size) + epsilon)
        for place in range(size):
            _put(there, place, here[place] * inverse * weight[place])


@_compiled
def _norm_backward(
    gradient: Any,
    hidden: Any,
    weight: Any,
    epsilon: Any,
    besides: Any,
    found: Any,
    parts: Any,
) -> None:
    size = hidden.shape[1]
    for part in prange(len(parts)):
        summed = parts[part]
        summed[:] = np.float32(0.0)
        for row in range(part * _ROWS_SUMMED, min((part + 1) * _ROWS_SUMMED, len(hidden))):
            here, above, below = hidden[row], gradient[row], found[row]
            square, along = np.float32(0.0), np.float32(0.0)
            for place in range(size):
                square += here[place] * here[place]
                along += here[place] * _get(above, place) * weight[place]
            inverse = _ONE / np.sqrt(square / np.float32(size) + epsilon)
            share = along * inverse * inverse / np.float32(size)
            for place in range(size):
                towards = _get(above, place)
                summed[place] += towards * here[place] * inverse
                below[place] = (towards * weight[place] - here[place] * share) * inverse
            if len(besides):
                beside = besides[row]
                for place in range(size):
                    below[place] += beside[place]


@_compiled
def _swiglu(gate_and_up: Any, out: Any) -> None:
    inner = gate_and_up.shape[1] // 2
    for row in prange(len(gate_and_up)):
        here, there = gate_and_up[row], out[row]
        for place in range(inner):
            gate = _get(here, place)
            _put(there, place, gate * _sigmoid(gate) * _get(here, inner + place))


@_compiled
def _swiglu_backward(gradient: Any, gate_and_up: Any, found: Any) -> None:
    inner = gate_and_up.shape[1] // 2
    for row in prange(len(gate_and_up)):
        here, above, below = gate_and_up[row], gradient[row], found[row]
        for place in range(inner):
            gate, up, towards = _get(here, place), _get(here, inner + place), _get(above, place)
            openness = _sigmoid(gate)
            opened = gate * openness
            _put(below, inner + place, towards * opened)
            _put(below, place, towards * up * (openness + opened * (_ONE - openness)))


@njit(inline="always")
def _exponentials(scores: Any, seen: int, scale: Any, found: Any) -> Any:
    """Of the first `seen` scores less the highest, times `scale`, into `found`; the highest, and their sum.

    Their shares of the sum are the softmax. `found` is in fp32.
    """
    highest = _get(scores, 0)
    for place in range(1, seen):
        highest = _larger(highest, _get(scores, place))
    total = np.float32(0.0)
    for place in range(seen):
        found[place] = _exp((_get(scores, place) - highest) * scale)
        total += found[place]
    return highest, total


@_compiled
def _weigh(scores: Any, positions: int, first: int, scale: Any) -> None:
    for text in prange(len(scores)):
        weights = np.empty(scores.shape[2], np.float32)
        for query in range(scores.shape[1]):
            row, seen = scores[text, query], first + query % positions + 1
            _, total = _exponentials(row, seen, scale, weights)
            share = _ONE / total
            for key in range(seen):
                _put(row, key, weights[key] * share)
            for key in range(seen, len(row)):
                row[key] = 0


@_compiled
def _weigh_backward(scores: Any, gradient: Any, positions: int, first: int, scale: Any) -> None:
    for text in prange(len(scores)):
        weights = np.empty(scores.shape[2], np.float32)
        for query in range(scores.shape[1]):
            row, towards, seen = scores[text, query], gradient[text, query], first + query % positions + 1
            _, total = _exponentials(row, seen, scale, weights)
            share, common = _ONE / total, np.float32(0.0)
            for key in range(seen):
                common += weights[key] * _get(towards, key)
            common *= share
            # What all weights of a row have in common changes nothing.
            for key in range(seen):
                weight = weights[key] * share
                _put(row, key, weight)
                _put(towards, key, weight * (_get(towards, key) - common))
            for key in range(seen, len(row)):
                row[key] = 0
                towards[key] = 0


@_compiled
def _cross_entropy(scores: Any, targets: Any, turns: bool, losses: Any, parts: int) -> None:
    for part in prange(parts):
        found = np.empty(scores.shape[1], np.float32)
        begin, end = _part(len(targets), part, parts)
        for row in range(begin, end):
            here, target = scores[row], targets[row]
            wanted = _get(here, target)
            highest, total = _exponentials(here, len(here), _ONE, found)
            losses[row] = np.log(total) + (highest - wanted)
            if turns:
                share = _ONE / total
                for place in range(len(here)):
                    _put(here, place, found[place] * share)
                _put(here, target, found[target] * share - _ONE)


@njit(inline="always")
def _turn_head(head: Any, along: Any, across: Any, scale: Any, before: Any, after: Any, found: Any) -> None:
    """By the angles whose cosines stand in `along`, their sines in `across`; times `scale`.

    By way of two arrays in fp32 of a head's size: of those the compiler sees that they do not overlap.
    """
    half = len(along)
    for place in range(2 * half):
        before[place] = _get(head, place) * scale
    for place in range(half):
        after[place] = before[place] * along[place] - before[half + place] * across[place]
    for place in range(half):
        after[half + place] = before[half + place] * along[place] + before[place] * across[place]
    for place in range(2 * half):
        _put(found, place, after[place])


@_compiled
def _turn(
    rows: Any, index: Any, width: int, position: Any, cosine: Any, sine: Any, found: Any, parts: int
) -> None:
    size = 2 * cosine.shape[1]
    for part in prange(parts):
        before, after = np.empty(size, np.float32), np.empty(size, np.float32)
        begin, end = _part(len(index), part, parts)
        for head in range(begin, end):
            row, which = index[head] // width, index[head] % width
            at = position[row]
            here = rows[row, which * size : (which + 1) * size]
            _turn_head(here, cosine[at], sine[at], _ONE, before, after, found[head])


@_compiled
def _turn_back(
    gradients: Any,
    index: Any,
    width: int,
    turning: int,
    position: Any,
    cosine: Any,
    sine: Any,
    scale: Any,
    found: Any,
    parts: int,
) -> None:
    """Two loops over the heads of a row: with a choice inside one, it is four times as slow."""
    size = gradients.shape[1]
    for part in prange(parts):
        before, after = np.empty(size, np.float32), np.empty(size, np.float32)
        begin, end = _part(len(index) // width, part, parts)
        for row in range(begin, end):
            along, across = cosine[position[row]], sine[position[row]]
            for head in range(row * width, row * width + turning):
                _turn_head(gradients[index[head]], along, across, scale, before, after, found[head])
            for head in range(row * width + turning, (row + 1) * width):
                here, there = gradients[index[head]], found[head]
                for place in range(size):
                    there[place] = here[place]
