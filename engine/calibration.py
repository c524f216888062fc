"""How fast this machine is with one base model, measured with the trainer's own steps.

    python -m engine.calibration --workspace DIR --model-folder FOLDER --fingerprint HASH

runs in a process of its own and leaves one JSON file; the supervisor reads it with `find_calibration`.
Importing this module imports neither torch nor transformers; `engine/probe.py` measures. Does not know what a
run will cost: `engine/estimates.py` turns these rates into seconds and bytes.
"""

from __future__ import annotations

import platform
from argparse import ArgumentParser
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from engine.contract.records import METHOD_NAMES, Machine, MethodName, Record
from engine.machine import Precision, fastest_extension, read_machine
from engine.readiness import get_ready
from engine.work import COUNTING
from engine.workspace import Workspace, write_durably

# Before anything was measured: what an entry-level GPU and an M1 manage on small models, and what a processor
# core does that has these instructions: LoRA on 134.5M parameters came to 434, 450 and 98 GFLOP/s on two
# cores with AMX (Xeon), AVX512-BF16 (Zen 5; Zen 4 is about half as fast) and AVX2.
# Wrong by up to the factors that `estimates.SPREAD_ASSUMED` admits.
ASSUMED_FLOPS_PER_SECOND_PER_CORE: dict[str, float] = {
    "amx_bf16": 2.1e11,
    "avx512_bf16": 1.6e11,
    "avx2": 4.5e10,
    "": 2e10,
}
ASSUMED_FLOPS_PER_SECOND = {"cuda": 5e12, "mps": 1e12}
ASSUMED_RESIDENT_BYTES = 700_000_000
ASSUMED_OVERHEAD_BYTES = 150_000_000


class MethodRates(Record):
    """What one method takes: seconds that do not depend on the examples, and rates for the counted work."""

    startup_seconds: float
    """From the order to the first step of a trainer that stood ready: examples, weights, method."""
    step_seconds: float
    """Each step's, whatever its size."""
    training_flops_per_second: float
    evaluation_flops_per_second: float
    finishing_seconds: float
    """The last checkpoint and the artefact."""
    memory_overhead_bytes: int
    """Beyond what is resident after loading and what is counted: kernels, their buffers, room between."""


class Facts(Record):
    """What a calibration holds for: with another processor or library it would be another."""

    device: Literal["cpu", "cuda", "mps"]
    device_title: str
    cores: int
    libraries: str
    """Such as "torch 2.13.0, transformers 5.23.0, peft 0.21.2, Python 3.11"."""
    counting: int
    """The way in which work is counted, `work.COUNTING`."""


class Calibration(Record):
    """What was measured on this machine with one base model; rates are medians of several tries."""

    fingerprint: str
    facts: Facts
    measured_at: float
    measured: bool = True
    """False for the assumption that stands in until there is a measurement."""
    load_average: float
    """Of the minute before: with other work on all cores the rates come out low."""
    threads: int
    precision: Precision
    precision_reason: str
    loading_seconds: float
    """Of the libraries: what a run waits for first if no trainer stood ready."""
    shape_seconds: float
    """More for the first step on batches of a size that has not come before: kernels are made for it."""
    resident_bytes: int
    """Of a process with the libraries and the model loaded."""
    rates: dict[MethodName, MethodRates]


def read_facts(machine: Machine) -> Facts:
    """What a calibration made now would hold for."""
    return Facts(
        device=machine.device,
        device_title=machine.device_title,
        cores=machine.cores,
        libraries=_library_versions(),
        counting=COUNTING,
    )


def find_calibration(file: Path, machine: Machine) -> Calibration | None:
    """The calibration in `file`, if what it holds for (`Facts`) is as it was; otherwise None."""
    try:
        calibration = Calibration.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return calibration if calibration.facts == read_facts(machine) else None


def assume_calibration(machine: Machine, weight_bytes: int) -> Calibration:
    """Cautious rates for a machine nobody has measured."""
    extension = fastest_extension(tuple(ASSUMED_FLOPS_PER_SECOND_PER_CORE))
    per_core = ASSUMED_FLOPS_PER_SECOND_PER_CORE[extension]
    per_second = ASSUMED_FLOPS_PER_SECOND.get(machine.device, machine.cores * per_core)
    rates = MethodRates(
        startup_seconds=2.0,
        step_seconds=0.02,
        training_flops_per_second=per_second,
        evaluation_flops_per_second=per_second,
        finishing_seconds=0.5,
        memory_overhead_bytes=ASSUMED_OVERHEAD_BYTES,
    )
    return Calibration(
        fingerprint="",
        facts=read_facts(machine),
        measured_at=0.0,
        measured=False,
        load_average=0.0,
        threads=machine.cores,
        precision="bf16" if extension.endswith("bf16") and machine.device == "cpu" else "fp32",
        precision_reason="not measured yet",
        loading_seconds=8.0,
        shape_seconds=0.1,
        resident_bytes=ASSUMED_RESIDENT_BYTES + weight_bytes,
        rates=dict.fromkeys(METHOD_NAMES, rates),
    )


@lru_cache(maxsize=1)
def _library_versions() -> str:
    names = ("torch", "transformers", "peft")
    return ", ".join([*(f"{name} {version(name)}" for name in names), f"Python {platform.python_version()}"])


def main() -> None:
    """Measure and leave the file; nothing is left if it fails or is killed."""
    parser = ArgumentParser(prog="python -m engine.calibration")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--model-folder", type=Path, required=True)
    parser.add_argument("--fingerprint", required=True)
    arguments = parser.parse_args()

    get_ready()
    # Here, because it brings torch.
    from engine.probe import measure

    workspace = Workspace(arguments.workspace)
    workspace.calibrations.mkdir(mode=0o700, parents=True, exist_ok=True)
    machine = read_machine(workspace, calibrated=False)
    calibration = measure(workspace.calibrations, arguments.model_folder, arguments.fingerprint, machine)
    file = workspace.calibrations / f"{arguments.fingerprint}.json"
    write_durably(file, calibration.model_dump_json(indent=1).encode())


if __name__ == "__main__":
    main()
