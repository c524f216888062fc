"""Examples to rows for training: every turn is read, and only the last answer is learnt."""

from pathlib import Path

from transformers import AutoTokenizer

from engine.batches import tokenize
from engine.contract.records import Example, Turn

EARLIER = [Turn(role="user", text="Is it dry?"), Turn(role="assistant", text="As a bone.")]


def test_training_reads_the_earlier_turns_and_learns_the_last_answer_alone(tiny_model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    example = Example(prompt="And warm?", completion="As toast.", turns=EARLIER)
    (row,) = tokenize(tokenizer, [example], "train", max_tokens=256)
    assert tokenizer.decode(row["input_ids"]) == (
        "<|begin|><|user|>Is it dry?<|assistant|>As a bone.<|end|><|user|>And warm?<|assistant|>"
        "As toast.<|end|>"
    )
    assert tokenizer.decode(row["input_ids"][row["learnt"]]) == "As toast.<|end|>"
