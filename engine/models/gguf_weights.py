"""Writes the tensors of a GGUF file as one safetensors file in bf16, a piece at a time.

Knows number formats and where a tensor's rows go. Does not know architectures.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, dequantize

from engine.models.gguf_file import GgufTensor, refuse_gguf

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Progress = Callable[[int], None]
"""Told how many bytes were written since the last time; called from several threads."""

# So many numbers at once stay in a core's cache.
_NUMBERS_AT_ONCE = 65_536
_THREADS = 2
_LARGEST = 3.3e38
"""Beyond it bf16 has only infinity."""
# Formats that the library reads and that files are made in.
READABLE = frozenset(
    GGMLQuantizationType[name]
    for name in (
        *("F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
        *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS"),
        *("IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4"),
    )
)


@dataclass(frozen=True)
class Target:
    """How one tensor of the file appears in the folder."""

    name: str
    source: GgufTensor
    shape: tuple[int, ...]
    rotary_head: int = 0
    """Rows of one head whose halves lie interleaved in the file, as llama.cpp keeps q and k of a Llama."""
    shift: float = 0.0
    """Added to every number."""

    @property
    def bytes(self) -> int:
        return 2 * prod(self.shape)


def write_weights(source: Path, targets: Sequence[Target], into: Path, progress: Progress) -> None:
    """`into` becomes a safetensors file of bf16 tensors, rounded to nearest even; the file is not synced.

    Raises EngineFailure("model_unusable") for a number that is not finite, OSError if it cannot be written.
    """
    header, begins = _render_header(targets)
    with source.open("rb") as reading, into.open("wb") as writing:
        writing.write(header)
        writing.flush()
        writing.truncate(len(header) + sum(target.bytes for target in targets))
        files = reading.fileno(), writing.fileno()
        pieces = [
            (target, begin + len(header), first, last)
            for target, begin in zip(targets, begins, strict=True)
            for first, last in _pieces(target)
        ]
        with ThreadPoolExecutor(_THREADS) as threads:
            jobs = [threads.submit(_convert, files, *piece, progress) for piece in pieces]
            try:
                for job in jobs:
                    job.result()
            finally:
                threads.shutdown(cancel_futures=True)


def _render_header(targets: Sequence[Target]) -> tuple[bytes, list[int]]:
    """The head of the safetensors file, and where each tensor begins behind it."""
    described: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begins, end = [], 0
    for target in targets:
        begins.append(end)
        end += target.bytes
        described[target.name] = {
            "dtype": "BF16",
            "shape": list(target.shape),
            "data_offsets": [begins[-1], end],
        }
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, begins


def _pieces(target: Target) -> Iterator[tuple[int, int]]:
    """Rows from and to; whole heads where rows change places inside a head."""
    rows = target.source.rows
    unit = target.rotary_head or 1
    step = max(1, _NUMBERS_AT_ONCE // (target.source.shape[-1] * unit)) * unit
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def _convert(
    files: tuple[int, int], target: Target, begin: int, first: int, last: int, progress: Progress
) -> None:
    """Rows `first` to `last` of a tensor that begins at `begin` in the file that is written."""
    reading, writing = files
    source = target.source
    count = (last - first) * source.row_bytes
    read = os.pread(reading, count, source.begin + first * source.row_bytes)
    if len(read) != count:
        raise refuse_gguf("it is cut off", "Fetch the whole file again.")
    rows = np.frombuffer(read, np.uint8).reshape(last - first, source.row_bytes)
    if target.rotary_head:
        rows = _undo_interleaving(rows, target.rotary_head)
    numbers = read_numbers(rows, source.kind)
    if target.shift:
        numbers = numbers + np.float32(target.shift)
    # A NaN is no less and no more than anything.
    if not (numbers.min() >= -_LARGEST and numbers.max() <= _LARGEST):
        raise refuse_gguf("some of its weights are not numbers", "Fetch the file again, or choose another.")
    rounded = to_bf16(numbers).tobytes()
    _write_all(writing, memoryview(rounded), begin + first * 2 * source.shape[-1])
    progress(len(rounded))


def _write_all(file: int, data: memoryview, position: int) -> None:
    while data:
        written = os.pwrite(file, data, position)
        data, position = data[written:], position + written


def _undo_interleaving(rows: Bytes, head: int) -> Bytes:
    """From (pair, half) to (half, pair) within every head, the order of `transformers`."""
    return rows.reshape(-1, head // 2, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def read_numbers(rows: Bytes, kind: GGMLQuantizationType) -> Floats:
    """The numbers of some whole rows as fp32, shape (rows, numbers in a row)."""
    own = _OWN_READERS.get(kind)
    if own is not None:
        return own(rows)
    return np.asarray(dequantize(np.ascontiguousarray(rows), kind), np.float32)


def _read_q4_1(rows: Bytes) -> Floats:
    """Blocks of 32: scale and minimum in fp16, then the low and the high halves of 16 bytes."""
    blocks = rows.reshape(-1, 20)
    scale, least = _halves(blocks, 0), _halves(blocks, 2)
    numbers = np.empty((len(blocks), 32), np.float32)
    np.multiply(blocks[:, 4:] & 15, scale, out=numbers[:, :16])
    np.multiply(blocks[:, 4:] >> 4, scale, out=numbers[:, 16:])
    numbers += least
    return numbers.reshape(len(rows), -1)


def _read_q8_0(rows: Bytes) -> Floats:
    """Blocks of 32: scale in fp16, then 32 signed bytes."""
    blocks = rows.reshape(-1, 34)
    return np.multiply(blocks[:, 2:].view(np.int8), _halves(blocks, 0)).reshape(len(rows), -1)


def _halves(blocks: Bytes, place: int) -> Floats:
    """The fp16 number at that byte of every block, as a column."""
    return np.ascontiguousarray(blocks[:, place : place + 2]).view(np.float16).astype(np.float32)


def _read_f64(rows: Bytes) -> Floats:
    return np.ascontiguousarray(rows).view(np.float64).astype(np.float32)


# Twice as fast as the library's for the model that comes with the product; F64 it does not read.
_OWN_READERS: dict[GGMLQuantizationType, Callable[[Bytes], Floats]] = {
    GGMLQuantizationType.Q4_1: _read_q4_1,
    GGMLQuantizationType.Q8_0: _read_q8_0,
    GGMLQuantizationType.F64: _read_f64,
}


def to_bf16(numbers: Floats) -> npt.NDArray[np.uint16]:
    """The upper halves of finite fp32 numbers, rounded to nearest even."""
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    return ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
