"""One run of `transformers.Trainer` with PEFT, as its documentation shows it."""

from datasets import Dataset
from peft import get_peft_model
from transformers import AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

from tests.benchmarks.peer import Clock, learning_arguments, load_model, peft_config, read_arguments
from tests.benchmarks.task import read_token_rows


def main() -> None:
    task, variant, report = read_arguments()
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    rows = [{"input_ids": ids, "labels": labels} for ids, labels in read_token_rows(task)]
    model = load_model(task, variant.get("frozen_in_bf16", False))
    if config := peft_config(task, model.config.hidden_size):
        model = get_peft_model(model, config)
    clock = Clock()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**learning_arguments(task), **variant.get("arguments", {})),
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=variant.get("pad_to_multiple_of")),
        callbacks=[clock],
    )
    trainer.train()
    trainer.save_model()
    clock.write(report)


if __name__ == "__main__":
    main()
