"""What the runners of the peers share: the learning that every side is asked for, and the clock.

Runs in the peers' environments: knows transformers and peft in any of their versions, and nothing of the
product. The schedule is the one of `engine/schedule.py`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tests.benchmarks.task import Report, Task, Variant, read_task

LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Clock(TrainerCallback):
    """Notes when the first step begins and the last one ends."""

    def __init__(self) -> None:
        self.first_step_at = self.last_step_at = 0.0
        self.steps = 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.first_step_at = self.first_step_at or time.time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.last_step_at = time.time()
        self.steps = state.global_step

    def write(self, file: Path) -> None:
        Report(self.first_step_at, self.last_step_at, self.steps).write(file)


def read_arguments() -> tuple[Task, Variant, Path]:
    """The task, the settings of this side, and where to report: what `sides.py` puts on the command line."""
    task_file, variant, report_file = sys.argv[1:]
    return read_task(task_file), json.loads(variant), Path(report_file)


def learning_arguments(task: Task) -> dict[str, Any]:
    """As in `engine/training.py`: AdamW, a short warm-up, half a cosine down to a twentieth."""
    return {
        "output_dir": task.output,
        "per_device_train_batch_size": task.batch_size,
        "num_train_epochs": task.epochs,
        "learning_rate": task.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": 0.05},
        "warmup_steps": max(1, min(50, round(task.steps * 0.1))),
        "weight_decay": 0.01,
        "adam_beta2": 0.99,
        "seed": task.seed,
        # Without it they refuse bf16 where there is no graphics card.
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def peft_config(task: Task, hidden_size: int) -> Any:
    """The adapter of a method; None for a method that trains the model's own weights."""
    from peft import LoraConfig, PromptEncoderConfig

    if task.method == "lora":
        return LoraConfig(
            task_type="CAUSAL_LM", r=task.rank, lora_alpha=2 * task.rank, target_modules=LORA_TARGETS
        )
    if task.method == "p-tuning":
        return PromptEncoderConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=task.virtual_tokens, encoder_hidden_size=hidden_size
        )
    return None


def load_model(task: Task, frozen_in_bf16: bool) -> Any:
    """The base, with all but its last layers frozen where that is the method.

    With `frozen_in_bf16`, weights that do not learn are kept in bf16 and those that do in fp32.
    """
    import torch
    from transformers import AutoModelForCausalLM

    # What an adapter begins with is drawn after this.
    torch.manual_seed(task.seed)
    half = frozen_in_bf16 and task.method != "all-layers"
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.bfloat16 if half else torch.float32)
    if task.method == "last-layers":
        model.requires_grad_(False)
        for layer in model.model.layers[-task.layers :]:
            layer.float().requires_grad_(True)
    return model
