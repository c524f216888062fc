"""Reads the header of a GGUF file: its metadata, and where each tensor lies. Trusts no number in it.

Layout as of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: magic, version, counts, key-value
pairs, tensor descriptions, padding, tensor data. Reads no weight. Does not know architectures or tokenizers.
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from engine.contract.failures import EngineFailure

MAGIC = b"GGUF"
MAX_HEADER_BYTES = 100_000_000
_VERSIONS = (2, 3)
_MAX_TENSORS = 100_000
_MAX_KEYS = 10_000
_MAX_DIMENSIONS = 4
_MAX_ELEMENTS = 2**40
_SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?"} | {
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GgufTensor:
    """One tensor of the file: `shape` with the rows first, as numpy and torch have it."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    begin: int
    """Of its bytes, from the beginning of the file."""
    row_bytes: int

    @property
    def rows(self) -> int:
        return prod(self.shape[:-1])

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class GgufFile:
    """The header: `metadata` by key, its arrays as lists, and the tensors by name."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]


def refuse_gguf(reason: str, remedy: str) -> EngineFailure:
    """What a person reads of a GGUF file that cannot become a base model."""
    return EngineFailure(
        "model_unusable", f"This GGUF file cannot be tuned here: {reason}.", "Nothing was changed.", remedy
    )


def read_gguf(path: Path) -> GgufFile:
    """The header of the file, checked against the file's size.

    Raises EngineFailure("model_unusable") if it is not a GGUF file, is cut off or contradicts itself.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise refuse_gguf("it is not a GGUF file", "Choose a file that ends in .gguf.")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read_header(path, content, size)
    except OSError as error:
        raise refuse_gguf(f"it cannot be read ({error.strerror})", "Check its name and place.") from error


def _read_header(path: Path, content: mmap.mmap, size: int) -> GgufFile:
    header = _Header(content)
    version = int(header.number("<u4"))
    if version not in _VERSIONS:
        raise refuse_gguf(
            f"it has version {version} of the format", "Choose a newer file of the same model (version 3)."
        )
    tensor_count, key_count = int(header.number("<u8")), int(header.number("<u8"))
    if tensor_count > _MAX_TENSORS or key_count > _MAX_KEYS:
        raise _damaged()
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = header.text()
        metadata[key] = header.value(int(header.number("<u4")))
    described = [header.tensor() for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 2**20:
        raise _damaged()
    begin = -(-header.position // alignment) * alignment
    tensors = {name: _place(name, shape, kind, begin + offset) for name, shape, kind, offset in described}
    if len(tensors) != tensor_count:
        raise _damaged()
    if any(tensor.begin + tensor.bytes > size for tensor in tensors.values()):
        raise refuse_gguf("it is cut off: the file ends before its weights do", "Fetch the whole file again.")
    return GgufFile(path, metadata, tensors)


def _place(name: str, shape: tuple[int, ...], kind: int, begin: int) -> GgufTensor:
    try:
        known = GGMLQuantizationType(kind)
        block, block_bytes = GGML_QUANT_SIZES[known]
    except (ValueError, KeyError) as error:
        raise refuse_gguf(
            f"its weights have number format {kind}, which is unknown here",
            "Choose a version of it as Q8_0, Q4_K_M or F16.",
        ) from error
    if shape[-1] % block:
        raise _damaged()
    return GgufTensor(name, shape, known, begin, shape[-1] // block * block_bytes)


def _damaged() -> EngineFailure:
    return refuse_gguf("its header is damaged", "Fetch the file again.")


class _Header:
    """Walks through the bytes; whatever would lie beyond their end is damage."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._end = min(len(content), MAX_HEADER_BYTES)
        self.position = len(MAGIC)

    def number(self, form: str) -> Any:
        return np.frombuffer(self._take(np.dtype(form).itemsize), form)[0].item()

    def text(self) -> str:
        return self._take(self._length()).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(int(self.number("<u4")), self._length())
        return self.number(_scalar(kind))

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape with the rows first, number format, and offset in the tensor data."""
        name = self.text()
        dimensions = int(self.number("<u4"))
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise _damaged()
        shape = tuple(int(self.number("<u8")) for _ in range(dimensions))[::-1]
        if not all(shape) or prod(shape) > _MAX_ELEMENTS:
            raise _damaged()
        return name, shape, int(self.number("<u4")), int(self.number("<u8"))

    def _array(self, kind: int, length: int) -> list[Any]:
        if kind == _STRING:
            return self._texts(length)
        form = np.dtype(_scalar(kind))
        values: list[Any] = np.frombuffer(self._take(length * form.itemsize), form).tolist()
        return values

    def _texts(self, length: int) -> list[str]:
        # Half a vocabulary's time goes into this loop: no call per text.
        content, position, end = self._content, self.position, self._end
        if length > (end - position) // 8:
            raise _cut_off(end)
        read_length: Callable[[Any, int], tuple[int]] = partial(struct.unpack_from, "<Q")
        texts = []
        for _ in range(length):
            if position + 8 > end:
                raise _cut_off(end)
            begin = position + 8
            position = begin + read_length(content, position)[0]
            if position > end:
                raise _cut_off(end)
            texts.append(content[begin:position].decode("utf-8", errors="replace"))
        self.position = position
        return texts

    def _length(self) -> int:
        return int(self.number("<u8"))

    def _take(self, length: int) -> bytes:
        begin, self.position = self.position, self.position + length
        if self.position > self._end:
            raise _cut_off(self._end)
        return self._content[begin : self.position]


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise _damaged()
    return _SCALARS[kind]


def _cut_off(end: int) -> EngineFailure:
    if end == MAX_HEADER_BYTES:
        return _damaged()
    return refuse_gguf("it is cut off or its header is damaged", "Fetch the whole file again.")
