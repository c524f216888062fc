"""One run of LLaMA-Factory's supervised tuning, given rows that are encoded already.

It offers no p-tuning. It imports torchaudio for examples with sound; where there is none, an empty module
stands in, since the wheels of PyPI do not load beside a torch for processors.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from datasets import Dataset, DatasetDict

from tests.benchmarks.peer import Clock, learning_arguments, read_arguments
from tests.benchmarks.task import Task, read_token_rows

METHODS = {"all-layers": "full", "lora": "lora", "last-layers": "freeze"}


def main() -> None:
    task, variant, report = read_arguments()
    if find_spec("torchaudio") is None:
        stand_in_for("torchaudio")
    from llamafactory.train.tuner import run_exp

    rows_folder = Path(task.output).with_name("factory-rows")
    write_rows(task, rows_folder)
    clock = Clock()
    run_exp(args=factory_arguments(task, rows_folder) | variant.get("arguments", {}), callbacks=[clock])
    clock.write(report)


def stand_in_for(name: str) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    sys.modules[name] = module


def factory_arguments(task: Task, rows_folder: Path) -> dict[str, Any]:
    return learning_arguments(task) | {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": task.model,
        # Asked for, but never read: the rows are there in its own form.
        "dataset": "rows",
        "tokenized_path": str(rows_folder),
        "template": "empty",
        "finetuning_type": METHODS[task.method],
        "freeze_trainable_layers": task.layers,
        "lora_rank": task.rank,
        "lora_target": "all",
    }


def write_rows(task: Task, folder: Path) -> None:
    """In the form in which it keeps encoded rows itself."""
    rows = [
        {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": labels,
            "images": None,
            "videos": None,
            "audios": None,
        }
        for ids, labels in read_token_rows(task)
    ]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(folder))


if __name__ == "__main__":
    main()
