"""Who is compared, each with its settings and its environment: Voicewright, and its peers at their best.

Environments of the peers, none of which the product needs. The pin of torch alone keeps the build for
processors where that is what pip finds for it; check with `pip list` that no CUDA library came along.

    python3 -m venv trl && trl/bin/pip install torch==2.13.0
    trl/bin/pip install trl==1.16.0 peft==0.21.2 transformers==5.23.0

    python3 -m venv factory && factory/bin/pip install torch==2.13.0
    factory/bin/pip install llamafactory==0.9.5 torch==2.13.0 torchvision==0.28.0
    factory/bin/pip uninstall -y torchvision torchaudio      # PyPI's are linked against CUDA and fail to load

Knows command lines and settings. Does not measure.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.processes import INHERITED, KEPT_MEMORY, SOURCE_ROOT, child_environment, usable_cores
from tests.benchmarks.task import Variant

OURS, DEFAULTS = "ours", "trainer-defaults"
ALL_METHODS = ("all-layers", "lora", "p-tuning", "last-layers")

Python = Literal["ours", "trl", "factory"]


@dataclass(frozen=True)
class Side:
    """One peer with one set of settings."""

    title: str
    runner: str
    """Module that runs one task."""
    python: Python = "ours"
    variant: Variant = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ALL_METHODS


_TRAINER, _TRL, _FACTORY = (f"tests.benchmarks.peer_{name}" for name in ("trainer", "trl", "llamafactory"))
_GROUPED = {"train_sampling_strategy": "group_by_length"}
_BF16 = _GROUPED | {"bf16": True}
_NO_P_TUNING = ("all-layers", "lora", "last-layers")

SIDES: dict[str, Side] = {
    OURS: Side("Voicewright", "engine.training"),
    DEFAULTS: Side("Trainer + PEFT, defaults", _TRAINER),
    # Autocast as most tutorials have it, rows of like length together, memory kept between steps.
    "trainer-best": Side(
        "Trainer + PEFT, bf16 + length groups + kept memory",
        _TRAINER,
        variant={"arguments": _BF16},
        environment=KEPT_MEMORY,
    ),
    # Besides, frozen weights are not cast anew in every step, and there are fewer shapes to compile for.
    "trainer-best-frozen": Side(
        "Trainer + PEFT, besides frozen weights in bf16 + lengths of 16",
        _TRAINER,
        variant={"arguments": _BF16, "frozen_in_bf16": True, "pad_to_multiple_of": 16},
        environment=KEPT_MEMORY,
    ),
    # Where bf16 is slower than fp32, as on a processor that only emulates it.
    "trainer-best-fp32": Side(
        "Trainer + PEFT, fp32 + length groups + kept memory",
        _TRAINER,
        variant={"arguments": _GROUPED},
        environment=KEPT_MEMORY,
    ),
    # Its defaults are bf16 and gradient checkpointing.
    "trl-defaults": Side("TRL SFTTrainer, defaults", _TRL, "trl"),
    "trl-best": Side(
        "TRL SFTTrainer, no checkpointing + length groups + kept memory",
        _TRL,
        "trl",
        {"arguments": _BF16 | {"gradient_checkpointing": False}},
        KEPT_MEMORY,
    ),
    "trl-best-frozen": Side(
        "TRL SFTTrainer, besides frozen weights in bf16 + lengths of 16",
        _TRL,
        "trl",
        {
            "arguments": _BF16 | {"gradient_checkpointing": False, "pad_to_multiple_of": 16},
            "frozen_in_bf16": True,
        },
        KEPT_MEMORY,
    ),
    "trl-best-fp32": Side(
        "TRL SFTTrainer, fp32 + no checkpointing + length groups + kept memory",
        _TRL,
        "trl",
        {"arguments": _GROUPED | {"bf16": False, "gradient_checkpointing": False}},
        KEPT_MEMORY,
    ),
    # Not for p-tuning: PEFT ignores position ids there, so that rows would see each other.
    "trl-padding-free": Side(
        "TRL SFTTrainer, no checkpointing + padding-free + kept memory",
        _TRL,
        "trl",
        {"arguments": {"bf16": True, "gradient_checkpointing": False, "padding_free": True}},
        KEPT_MEMORY,
        _NO_P_TUNING,
    ),
    # It offers no p-tuning. Its defaults are fp32 and gradient checkpointing.
    "factory-defaults": Side("LLaMA-Factory, defaults", _FACTORY, "factory", methods=_NO_P_TUNING),
    # With bf16 it keeps frozen weights in bf16 by itself.
    "factory-best": Side(
        "LLaMA-Factory, bf16 + no checkpointing + length groups + kept memory",
        _FACTORY,
        "factory",
        {"arguments": _BF16 | {"disable_gradient_checkpointing": True}},
        KEPT_MEMORY,
        _NO_P_TUNING,
    ),
    "factory-best-fp32": Side(
        "LLaMA-Factory, fp32 + no checkpointing + length groups + kept memory",
        _FACTORY,
        "factory",
        {"arguments": _GROUPED | {"disable_gradient_checkpointing": True}},
        KEPT_MEMORY,
        _NO_P_TUNING,
    ),
}


def command(side: Side, python: str, task_file: str, report_file: str) -> list[str]:
    """For a peer; ours is started with its run folder alone."""
    return [python, "-P", "-m", side.runner, task_file, json.dumps(side.variant), report_file]


def our_command(run_folder: str) -> list[str]:
    return [sys.executable, "-P", "-u", "-m", SIDES[OURS].runner, run_folder]


def our_environment() -> dict[str, str]:
    """Exactly what the supervisor gives a trainer, and no graphics card."""
    return child_environment(usable_cores(), trains=True) | {"CUDA_VISIBLE_DEVICES": ""}


def environment(side: Side, cache_folder: str) -> dict[str, str]:
    """Of a peer: nothing that a person has set on this machine, no network, no graphics card."""
    inherited = {name: value for name, value in os.environ.items() if name in INHERITED}
    return {
        **inherited,
        "PYTHONPATH": str(SOURCE_ROOT),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": cache_folder,
        "CUDA_VISIBLE_DEVICES": "",
        **side.environment,
    }
