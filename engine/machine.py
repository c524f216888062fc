"""What this machine offers to the engine: cores, memory, disk, accelerator. Each value with its reason.

Found without torch; what torch sees is told by the calibration once there is one. Does not know models or
runs.
"""

import platform
from pathlib import Path
from shutil import disk_usage, which
from subprocess import SubprocessError, run
from typing import Literal

import psutil

from engine.contract.records import Machine
from engine.processes import memory_limit, usable_cores
from engine.workspace import Workspace

Device = Literal["cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16"]
"""The number format of the matrix products."""


def read_machine(workspace: Workspace, calibrated: bool) -> Machine:
    device, title, reason = _device()
    total, available = read_memory()
    return Machine(
        device=device,
        device_title=title,
        device_reason=reason,
        cores=usable_cores(),
        memory_bytes=total,
        memory_available_bytes=available,
        disk_free_bytes=disk_usage(workspace.root).free,
        calibrated=calibrated,
    )


def read_memory() -> tuple[int, int]:
    """(all, free) bytes; a control group may allow less than the machine has."""
    memory = psutil.virtual_memory()
    limit = memory_limit()
    if limit is None:
        return memory.total, memory.available
    allowed, used = limit
    return allowed, min(memory.available, max(0, allowed - used))


def _device() -> tuple[Device, str, str]:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "mps", _processor(), "an Apple chip computes on its graphics part"
    if Path("/dev/nvidia0").exists():
        return "cuda", _graphics_card(), "an NVIDIA graphics card was found"
    return "cpu", _processor(), "no NVIDIA graphics card was found"


def _graphics_card() -> str:
    """Its name, asked of the driver once per process."""
    if not _TITLES.get("cuda"):
        _TITLES["cuda"] = _ask_driver() or "NVIDIA graphics card"
    return _TITLES["cuda"]


_TITLES: dict[str, str] = {}


def _ask_driver() -> str | None:
    tool = which("nvidia-smi")
    if tool is None:
        return None
    try:
        command = [tool, "--query-gpu=name", "--format=csv,noheader"]
        answer = run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, SubprocessError):
        return None
    return answer.stdout.partition("\n")[0].strip() or None


def _processor() -> str:
    if "cpu" not in _TITLES:
        _TITLES["cpu"] = _processor_from_kernel() or platform.processor() or platform.machine()
    return _TITLES["cpu"]


def _processor_from_kernel() -> str | None:
    return _read_cpuinfo("model name") or None


def fastest_extension(known: tuple[str, ...]) -> str:
    """The first of these instruction sets, as Linux calls them, that the processor has; "" if it has none."""
    has = _read_cpuinfo("flags").split()
    return next((extension for extension in known if extension in has), "")


def _read_cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
