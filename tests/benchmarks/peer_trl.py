"""One run of TRL's `SFTTrainer`, given rows that are encoded already."""

from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from tests.benchmarks.peer import Clock, learning_arguments, load_model, peft_config, read_arguments
from tests.benchmarks.task import read_token_rows


def main() -> None:
    task, variant, report = read_arguments()
    rows = [{"input_ids": ids, "labels": labels} for ids, labels in read_token_rows(task)]
    model = load_model(task, variant.get("frozen_in_bf16", False))
    clock = Clock()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**learning_arguments(task), max_length=None, **variant.get("arguments", {})),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(task.model),
        peft_config=peft_config(task, model.config.hidden_size),
        callbacks=[clock],
    )
    trainer.train()
    trainer.save_model()
    clock.write(report)


if __name__ == "__main__":
    main()
