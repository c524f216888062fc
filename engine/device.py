"""What a process computes on, and in which number format; each detected value travels with its reason.

Knows torch. Does not know methods, runs or seconds of a whole training: estimates are made elsewhere.
"""

import os
import platform
import resource
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import torch
from llvmlite.binding import get_host_cpu_name

from engine.machine import Precision

Kind = Literal["cpu", "cuda", "mps"]
# bf16 rounds more: it must be clearly faster to be worth it, and a gain within the noise would make two runs
# of one recipe differ.
_WORTHWHILE_GAIN = 1.3
_PROBE_ROUNDS = 8
_PROBE_ROWS = 512
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
ROWS_MULTIPLE = {torch.float32: 8, torch.bfloat16: 128}
"""To which the rows of a product are rounded up on a processor.

In bf16 oneDNN compiles and keeps a kernel for every shape it meets: few shapes cost less time and memory.
"""
ATTENTION_BLOCK = {torch.float32: 64, torch.bfloat16: 512}
"""So many positions at most look back together: what comes after the last of them costs nothing."""
SCORES_AT_ONCE = {torch.float32: 16_000_000, torch.bfloat16: 60_000_000}
"""So many scores of the vocabulary at most are made at once: more cost memory, fewer cost time."""


ARITHMETIC = 9
"""Raised when the trainer adds up the same numbers in another order, or takes its batches in another."""


@dataclass(frozen=True)
class Device:
    """Where the numbers live."""

    kind: Kind
    reason: str

    @property
    def torch(self) -> torch.device:
        return torch.device(self.kind)


@dataclass(frozen=True)
class ChosenPrecision:
    """The format of the matrix products; weights and optimizer stay in fp32 either way."""

    name: Precision
    reason: str


def detect_device() -> Device:
    if torch.cuda.is_available():
        return Device("cuda", f"{torch.cuda.get_device_name()} answers")
    if torch.backends.mps.is_available():
        return Device("mps", "the graphics cores of this Mac answer")
    return Device("cpu", f"no graphics card answers; {torch.get_num_threads()} processor threads")


def autocast(device: Device, precision: Precision) -> AbstractContextManager[object]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.kind, dtype=torch.bfloat16)


def choose_precision(device: Device, inputs: int, outputs: int) -> ChosenPrecision:
    """bf16 where the device is known for it, or multiplies `inputs` x `outputs` clearly faster with it.

    VOICEWRIGHT_PRECISION overrules the measurement, to repeat a run exactly as another machine made it.
    """
    ordered = os.environ.get("VOICEWRIGHT_PRECISION")
    if ordered in ("fp32", "bf16"):
        return ChosenPrecision("bf16" if ordered == "bf16" else "fp32", "ordered by VOICEWRIGHT_PRECISION")
    if device.kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return ChosenPrecision("bf16", "the graphics card computes in bf16")
    if device.kind != "cpu":
        return ChosenPrecision("fp32", "bf16 is not known to be sound here")
    plain, brief = (time_product(precision, inputs, outputs) for precision in ("fp32", "bf16"))
    name: Precision = "bf16" if plain > brief * _WORTHWHILE_GAIN else "fp32"
    reason = f"a product took {plain * 1e6:.0f} µs in fp32, {brief * 1e6:.0f} µs in bf16"
    return ChosenPrecision(name, reason)


def time_product(precision: Precision, inputs: int, outputs: int) -> float:
    """Seconds that a batch's rows take through a linear map, the fastest of several."""
    rows = torch.ones(_PROBE_ROWS, inputs, dtype=DTYPES[precision])
    weight = torch.ones(outputs, inputs, dtype=DTYPES[precision])
    seconds = []
    for _ in range(_PROBE_ROUNDS):
        begun = time.perf_counter()
        torch.mm(rows, weight.t())
        seconds.append(time.perf_counter() - begun)
    # The first one also makes the kernel.
    return min(seconds[1:])


def environment(device: Device, precision: Precision) -> dict[str, str | int]:
    """All that must be equal for the same steps to give the same bits."""
    return {
        **{library: version(library) for library in ("torch", "transformers", "peft", "tokenizers", "numba")},
        "machine": platform.machine(),
        "processor": f"{torch.backends.cpu.get_cpu_capability()}, {get_host_cpu_name()}",
        "device": torch.cuda.get_device_name() if device.kind == "cuda" else device.kind,
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "precision": precision,
        "arithmetic": ARITHMETIC,
    }


def peak_memory_bytes(device: Device) -> int:
    """The most memory this process has held: on the graphics card if it computes there, else in all."""
    if device.kind == "cuda":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
