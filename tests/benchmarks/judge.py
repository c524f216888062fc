"""The loss of a finished artefact on all rows: `python -m tests.benchmarks.judge TASK ARTEFACT`.

The same fp32 arithmetic for every side, so that it shows whether all have learnt the same. Prints nats per
learnt token. Knows transformers and peft. Does not know who made the artefact.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tests.benchmarks.task import read_task, read_token_rows


def open_artefact(base: str, artefact: Path) -> Any:
    """An adapter or a whole model, as it was saved; never in less than fp32."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    if (artefact / "adapter_config.json").exists():
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        return PeftModel.from_pretrained(model, artefact).eval()
    return AutoModelForCausalLM.from_pretrained(artefact, dtype=torch.float32).eval()


@torch.inference_mode()
def measure_loss(model: Any, rows: list[tuple[list[int], list[int]]]) -> float:
    total, learnt = 0.0, 0
    for ids, labels in rows:
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        # Virtual tokens may stand before the row's own.
        logits = logits[-len(ids) : -1]
        targets = torch.tensor(labels[1:])
        total += cross_entropy(logits, targets, ignore_index=-100, reduction="sum").item()
        learnt += int((targets != -100).sum())
    return total / learnt


def main() -> None:
    task = read_task(sys.argv[1])
    print(measure_loss(open_artefact(task.model, Path(sys.argv[2])), read_token_rows(task)))


if __name__ == "__main__":
    main()
