"""What decoding does number by number: a few rows through the layers of a Llama, and attention over pages.

With few rows the weights are what takes time: each is read once from where the model's file is mapped, in
bf16 or fp32, and all is computed in fp32. One call runs any number of layers, so that nothing is between two
loops but the threads' meeting. Compiled by numba and kept like `engine/kernels.py`, with whose threads it
computes. Knows arrays, addresses and formulas. Does not know files, models or texts.
"""

import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import carray, config, njit, prange, set_num_threads, types
from numba.extending import intrinsic

from engine.kernel_cache import is_kept, load_loops
from engine.kernels import _FAST, _compiled, _exp, _get, _larger, _part, _sigmoid, norm, swiglu
from engine.kv_cache import PAGE

MAPS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The order of a layer's maps in every table."""
_Q, _K, _V, _O, _GATE, _UP, _DOWN = range(len(MAPS))
_AHEAD = 8192
"""Bytes. Processors fetch ahead by themselves only within 4 KB, which is not enough to keep memory busy."""
_LINE = 64
_COMPILE = "import torch; from engine import decode_kernels; decode_kernels.load_here()"


class Layers(NamedTuple):
    """Weights of all layers by address; whoever calls keeps them alive."""

    weights: Any
    """(layers, maps) int64: where each map's (outputs, inputs) begin."""
    is_brief: Any
    """(layers, maps) bool: in bf16, else in fp32."""
    norms: Any
    """(layers, 2, size) fp32."""
    down: Any
    """(layers, maps) int64: where LoRA's A (rank, inputs) begins, in fp32."""
    up: Any
    """(layers, maps) int64: where LoRA's B (outputs, rank) begins, in fp32, its scale in it."""
    rank: int
    """0 without LoRA."""
    heads: int
    inner: int
    epsilon: Any


class Places(NamedTuple):
    """Where each row stands: which text's pages are its, and at which position."""

    tables: Any
    """(texts, pages) int32."""
    text_of: Any
    """(rows) int32."""
    position_of: Any
    """(rows) int32."""
    cosine: Any
    """(positions, half a head) fp32."""
    sine: Any


# --- for decoders -----------------------------------------------------------------------------------------


def run_layers(
    hidden: Any, layers: Layers, first: int, last: int, first_tuned: int, pages: Any, places: Places
) -> None:
    """In place: `hidden` (rows, size) in fp32 through layers `first` to `last` - 1.

    LoRA is added to the rows from `first_tuned` on. Keys and values are written to `pages`, which hold those
    of all positions before.
    """
    _run_layers(hidden, layers, first, last, first_tuned, pages, places, torch.get_num_threads())


def project(normed: Any, address: int, is_brief: bool, out: Any) -> None:
    """(rows, inputs) -> (rows, outputs), both in fp32, by a weight (outputs, inputs) at an address."""
    _project_all(normed, address, is_brief, out, torch.get_num_threads())


def attend(joint: Any, layer: int, heads: int, pages: Any, places: Places, out: Any) -> None:
    """Keys and values of `joint` (rows, heads of queries, keys and values) to their pages, queries to `out`.

    All rows of a text that stand before a row, here or in the pages, are looked back on.
    """
    _append_and_attend(joint, layer, heads, pages, places, out)


def load() -> None:
    """Load every loop; what has never been compiled on this machine another process compiles."""
    load_loops(globals(), load_here, _COMPILE, _project_all, _any)


def start_compiling() -> "subprocess.Popen[bytes] | None":
    """Compile in a process of its own, behind everything else, what has never been compiled here."""
    if is_kept(globals(), _project_all, _any):
        return None
    command = [sys.executable, "-P", "-c", f"import os; os.nice(10); {_COMPILE}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _any(_: Any) -> bool:
    return True


def load_here() -> None:
    """The same in this process, whatever it takes."""
    set_num_threads(min(torch.get_num_threads(), config.NUMBA_NUM_THREADS))
    one = np.ones((1, 2), np.float32)
    table = np.zeros((1, len(MAPS)), np.int64)
    nothing = np.zeros((1, len(MAPS)), np.bool_)
    layers = Layers(table, nothing, np.ones((1, 2, 2), np.float32), table, table, 0, 1, 2, np.float32(1.0))
    pages = np.zeros((1, 1, 2, 1, PAGE, 2), np.float32)
    zero = np.zeros(1, np.int32)
    places = Places(zero[None], zero, zero, np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
    run_layers(one, layers, 0, 0, 1, pages, places)
    attend(np.zeros((1, 6), np.float32), 0, 1, pages, places, one)
    weight = np.ones((2, 2), np.float32)
    project(one, weight.ctypes.data, False, np.zeros((1, 2), np.float32))
    norm(torch.zeros(1, 2), torch.ones(2), 1.0, torch.zeros(1, 2))
    swiglu(torch.zeros(1, 4), torch.zeros(1, 2))


# --- memory by address ------------------------------------------------------------------------------------


def _pointer_to(number: Any) -> Any:
    @intrinsic
    def pointer(context: Any, address: Any) -> Any:
        def generate(inner: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], inner.get_value_type(signature.return_type))

        return types.CPointer(number)(types.int64), generate

    return pointer


_brief, _full = _pointer_to(types.uint16), _pointer_to(types.float32)


@intrinsic
def _fetch(context: Any, address: Any) -> Any:
    """Tell the processor that the line at this address, which need not be anybody's, is read soon."""

    def generate(inner: Any, builder: Any, _: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer] + [number] * 3)
        )
        for_reading, into_second_cache, data = (ir.Constant(number, value) for value in (0, 2, 1))
        where = builder.inttoptr(arguments[0], pointer)
        builder.call(fetch, [where, for_reading, into_second_cache, data])
        return inner.get_dummy_value()

    return types.none(types.int64), generate


# --- loops ------------------------------------------------------------------------------------------------

_ZERO = np.float32(0.0)


@njit(fastmath=_FAST, error_model="numpy")
def _normed(hidden: Any, weight: Any, epsilon: Any) -> Any:
    """RMSNorm of a few rows."""
    rows, size = hidden.shape
    out = np.empty((rows, size), np.float32)
    for row in range(rows):
        here, there = hidden[row], out[row]
        square = _ZERO
        for place in range(size):
            square += here[place] * here[place]
        inverse = np.float32(1.0) / np.sqrt(square / np.float32(size) + epsilon)
        for place in range(size):
            there[place] = here[place] * inverse * weight[place]
    return out


@njit(fastmath=_FAST, error_model="numpy")
def _multiply(
    inputs: Any, weight: Any, first: int, begin: int, end: int, out: Any, column: int, adds: bool
) -> None:
    """Outputs `begin` to `end` of a map, of the rows from `first` on, into (or added to) columns of `out`.

    Four rows at a time: more would not fit into the registers of every processor.
    """
    rows, size = inputs.shape
    address = weight.ctypes.data + begin * size * weight.itemsize + _AHEAD
    for output in range(begin, end):
        here = weight[output]
        for line in range(0, size * weight.itemsize, _LINE):
            _fetch(address + line)
        address += size * weight.itemsize
        to, row = column + output, first
        while row + 4 <= rows:
            x0, x1, x2, x3 = inputs[row], inputs[row + 1], inputs[row + 2], inputs[row + 3]
            s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
            for place in range(size):
                number = _get(here, place)
                s0 += number * x0[place]
                s1 += number * x1[place]
                s2 += number * x2[place]
                s3 += number * x3[place]
            if adds:
                s0, s1 = s0 + out[row, to], s1 + out[row + 1, to]
                s2, s3 = s2 + out[row + 2, to], s3 + out[row + 3, to]
            out[row, to], out[row + 1, to], out[row + 2, to], out[row + 3, to] = s0, s1, s2, s3
            row += 4
        while row + 2 <= rows:
            x0, x1 = inputs[row], inputs[row + 1]
            s0, s1 = _ZERO, _ZERO
            for place in range(size):
                number = _get(here, place)
                s0 += number * x0[place]
                s1 += number * x1[place]
            if adds:
                s0, s1 = s0 + out[row, to], s1 + out[row + 1, to]
            out[row, to], out[row + 1, to] = s0, s1
            row += 2
        if row < rows:
            x0 = inputs[row]
            s0 = out[row, to] if adds else _ZERO
            for place in range(size):
                s0 += _get(here, place) * x0[place]
            out[row, to] = s0


@njit(fastmath=_FAST, error_model="numpy")
def _multiply_at(
    inputs: Any,
    address: int,
    is_brief: bool,
    outputs: int,
    part: int,
    parts: int,
    out: Any,
    column: int,
    adds: bool,
) -> None:
    begin, end = _part(outputs, part, parts)
    shape = (outputs, inputs.shape[1])
    if is_brief:
        _multiply(inputs, carray(_brief(address), shape), 0, begin, end, out, column, adds)
    else:
        _multiply(inputs, carray(_full(address), shape), 0, begin, end, out, column, adds)


@njit(fastmath=_FAST, error_model="numpy")
def _map(
    inputs: Any,
    layers: Any,
    layer: int,
    which: int,
    outputs: int,
    first_tuned: int,
    part: int,
    parts: int,
    out: Any,
    column: int,
    adds: bool,
) -> None:
    """A part of the outputs of one map, with LoRA's update of the tuned rows."""
    address, is_brief = layers.weights[layer, which], layers.is_brief[layer, which]
    _multiply_at(inputs, address, is_brief, outputs, part, parts, out, column, adds)
    if layers.rank and first_tuned < len(inputs):
        low = np.empty((len(inputs), layers.rank), np.float32)
        down = carray(_full(layers.down[layer, which]), (layers.rank, inputs.shape[1]))
        up = carray(_full(layers.up[layer, which]), (outputs, layers.rank))
        begin, end = _part(outputs, part, parts)
        # Every thread for itself: to share it out would cost another meeting.
        _multiply(inputs, down, first_tuned, 0, layers.rank, low, 0, False)
        _multiply(low, up, first_tuned, begin, end, out, column, True)


@njit(fastmath=_FAST, error_model="numpy")
def _open_gates(both: Any) -> Any:
    """SwiGLU of a few rows (rows, 2 x inner)."""
    rows, inner = len(both), both.shape[1] // 2
    out = np.empty((rows, inner), np.float32)
    for row in range(rows):
        here, there = both[row], out[row]
        for place in range(inner):
            gate = here[place]
            there[place] = gate * _sigmoid(gate) * here[inner + place]
    return out


@njit(fastmath=_FAST, error_model="numpy")
def _append(joint: Any, layer: int, heads: int, pages: Any, places: Any, row: int) -> None:
    """Turn a row's queries, in place, and its keys; write keys and values to its page."""
    key_heads, size = pages.shape[3], pages.shape[5]
    half, at = size // 2, places.position_of[row]
    along, across = places.cosine[at], places.sine[at]
    page = pages[places.tables[places.text_of[row], at // PAGE], layer]
    slot, here = at % PAGE, joint[row]
    for head in range(heads + key_heads):
        begin = head * size
        for place in range(begin, begin + half):
            low, high = here[place], here[place + half]
            turn = place - begin
            here[place] = low * along[turn] - high * across[turn]
            here[place + half] = high * along[turn] + low * across[turn]
    for head in range(key_heads):
        keys, values = page[0, head, slot], page[1, head, slot]
        begin = (heads + head) * size
        for place in range(size):
            keys[place] = here[begin + place]
            values[place] = here[begin + key_heads * size + place]


@njit(fastmath=_FAST, error_model="numpy")
def _attend(
    joint: Any, layer: int, heads: int, pages: Any, places: Any, row: int, head: int, out: Any
) -> None:
    """What one head of one row makes of all positions up to its own."""
    key_heads, size = pages.shape[3], pages.shape[5]
    group, table = head // (heads // key_heads), places.tables[places.text_of[row]]
    seen = places.position_of[row] + 1
    query = joint[row, head * size : (head + 1) * size]
    weights = np.empty(seen, np.float32)
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    highest = np.float32(-np.inf)
    for begin in range(0, seen, PAGE):
        keys = pages[table[begin // PAGE], layer, 0, group]
        for slot in range(min(PAGE, seen - begin)):
            key, score = keys[slot], _ZERO
            for place in range(size):
                score += query[place] * key[place]
            weights[begin + slot] = score * scale
            highest = _larger(highest, score * scale)
    total = _ZERO
    for place in range(seen):
        weights[place] = _exp(weights[place] - highest)
        total += weights[place]
    mixed = np.zeros(size, np.float32)
    for begin in range(0, seen, PAGE):
        values = pages[table[begin // PAGE], layer, 1, group]
        for slot in range(min(PAGE, seen - begin)):
            value, weight = values[slot], weights[begin + slot]
            for place in range(size):
                mixed[place] += weight * value[place]
    share = np.float32(1.0) / total
    there = out[row, head * size : (head + 1) * size]
    for place in range(size):
        there[place] = mixed[place] * share


@_compiled
def _append_and_attend(joint: Any, layer: int, heads: int, pages: Any, places: Any, out: Any) -> None:
    for row in prange(len(joint)):
        _append(joint, layer, heads, pages, places, row)
    for task in prange(len(joint) * heads):
        _attend(joint, layer, heads, pages, places, task // heads, task % heads, out)


@_compiled
def _run_layers(
    hidden: Any, layers: Any, first: int, last: int, first_tuned: int, pages: Any, places: Any, parts: int
) -> None:
    """Four products a layer, each with what comes before it; one loop for all four, compiled once."""
    rows, size = hidden.shape
    heads, inner = layers.heads, layers.inner
    wide, narrow = heads * pages.shape[5], pages.shape[3] * pages.shape[5]
    joint = np.empty((rows, wide + 2 * narrow), np.float32)
    mixed = np.empty((rows, wide), np.float32)
    both = np.empty((rows, 2 * inner), np.float32)
    outputs = np.array([wide, narrow, narrow, size, inner, inner, size])
    columns = np.array([0, wide, wide + narrow, 0, 0, inner, 0])
    for layer in range(first, last):
        for product in range(4):
            inputs, out, begin, end = mixed, hidden, _O, _O + 1
            if product == 0:
                inputs = _normed(hidden, layers.norms[layer, 0], layers.epsilon)
                out, begin, end = joint, _Q, _V + 1
            elif product == 1:
                for row in range(rows):
                    _append(joint, layer, heads, pages, places, row)
                for task in prange(rows * heads):
                    _attend(joint, layer, heads, pages, places, task // heads, task % heads, mixed)
            elif product == 2:
                inputs = _normed(hidden, layers.norms[layer, 1], layers.epsilon)
                out, begin, end = both, _GATE, _UP + 1
            else:
                inputs, begin, end = _open_gates(both), _DOWN, _DOWN + 1
            adds = product % 2 == 1
            for part in prange(parts):
                for which in range(begin, end):
                    _map(
                        inputs, layers, layer, which, outputs[which], first_tuned, part, parts,
                        out, columns[which], adds,
                    )  # fmt: skip


@_compiled
def _project_all(normed: Any, address: int, is_brief: bool, out: Any, parts: int) -> None:
    for part in prange(parts):
        _multiply_at(normed, address, is_brief, out.shape[1], part, parts, out, 0, False)
