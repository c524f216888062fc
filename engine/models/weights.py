"""The weight files of a model folder: which they are, the tensors in their headers, whether all are numbers.

A header is believed only where it agrees with its file: every tensor as long as its shape says, one after
the other without gap or overlap, to the very end (the safetensors format, github.com/huggingface/safetensors,
README, "Format"). Does not know architectures. Imports neither torch nor transformers.
"""

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from engine.contract.failures import EngineFailure
from engine.models.folder import has_file, read_json, unusable

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOAT_TYPES = frozenset({"F64", "F32", "F16", "BF16"})
_MAX_HEADER_BYTES = 25_000_000
_ITEM_BYTES = {
    **{"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2},
    **{"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1},
}
_EXPONENTS: dict[str, tuple[str, int]] = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
"""Of each format the bits of the exponent: all of them are set in NaN and infinity, and only there."""
_NUMBERS_AT_ONCE = 1 << 20
_FETCH_AGAIN = "Fetch the model again."


@dataclass(frozen=True)
class Tensor:
    """One entry of a header; `begin` and `end` are bytes of the whole file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numbers(self) -> int:
        return prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that `transformers` loads: model.safetensors, or those that the index names.

    Empty where there are neither. Raises EngineFailure if a file of the index is missing.
    """
    if has_file(folder, WEIGHTS):
        return [folder / WEIGHTS]
    if not has_file(folder, INDEX):
        return []
    names = sorted(set(_read_index(folder).values()))
    missing = [name for name in names if not has_file(folder, name)]
    if missing:
        raise unusable(f"its weight file “{missing[0]}” is missing", _FETCH_AGAIN)
    return [folder / name for name in names]


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors by name. Raises EngineFailure if a file is damaged or lacks what the index says it has."""
    files = weight_files(folder)
    by_file = {file.name: read_header(file) for file in files}
    if files and files[0].name != WEIGHTS:
        for tensor, name in _read_index(folder).items():
            if tensor not in by_file[name]:
                raise unusable(f"“{tensor}” is missing from its weight file “{name}”", _FETCH_AGAIN)
    return {name: tensor for header in by_file.values() for name, tensor in header.items()}


def _read_index(folder: Path) -> dict[str, str]:
    places = read_json(folder, INDEX).get("weight_map")
    if not isinstance(places, dict) or not places or not all(map(_is_plain_name, places.values())):
        raise unusable(f"its {INDEX} does not say where its weights are", _FETCH_AGAIN)
    return places


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and not {"/", "\\", "\0"} & set(name)


def read_header(file: Path) -> dict[str, Tensor]:
    """Name -> tensor of one safetensors file. Raises EngineFailure if it does not agree with the file."""
    try:
        status = file.stat()
        return _read_header(file, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise unusable(f"its weight file “{file.name}” may not be read", "Allow reading it.") from error


@lru_cache(maxsize=256)
def _read_header(file: Path, modified: int, size: int) -> dict[str, Tensor]:
    """`modified` is there for the cache: a file that kept time and size is not read again."""
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(_MAX_HEADER_BYTES, size - 8):
            raise _damaged(file)
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            tensors = {name: _read_entry(entry, 8 + length) for name, entry in header.items()}
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise _damaged(file) from error
    end = 8 + length
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != end:
            raise _damaged(file)
        end = tensor.end
    if end != size:
        raise _damaged(file)
    return tensors


def _read_entry(entry: Any, start: int) -> Tensor:
    """Raises KeyError, TypeError or ValueError if it contradicts itself."""
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and 0 <= number < 2**48 for number in (*shape, begin, end)):
        raise ValueError("not a size")
    if end - begin != prod(shape) * _ITEM_BYTES[entry["dtype"]]:
        raise ValueError("not as long as its shape")
    return Tensor(entry["dtype"], tuple(shape), start + begin, start + end)


def _damaged(file: Path) -> EngineFailure:
    return unusable(f"its weight file “{file.name}” is damaged", _FETCH_AGAIN)


def refuse_what_is_no_number(folder: Path) -> None:
    """Raise EngineFailure if a weight is infinite or not a number. Reads every weight."""
    for file in weight_files(folder):
        for name, tensor in sorted(read_header(file).items(), key=lambda item: item[1].begin):
            if tensor.dtype in _EXPONENTS and tensor.numbers and _holds_no_number(file, tensor):
                raise unusable(
                    f"its weights hold values that are no numbers (NaN or infinite), in “{name}”",
                    "Fetch the model again, or choose another one.",
                )


def _holds_no_number(file: Path, tensor: Tensor) -> bool:
    dtype, exponent = _EXPONENTS[tensor.dtype]
    bits = np.memmap(file, dtype="u1", mode="r")[tensor.begin : tensor.end].view(dtype)
    pieces = (bits[start : start + _NUMBERS_AT_ONCE] for start in range(0, len(bits), _NUMBERS_AT_ONCE))
    return any(int((piece & bits.dtype.type(exponent)).max()) == exponent for piece in pieces)
