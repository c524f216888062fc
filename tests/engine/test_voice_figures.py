"""A voice is measured with the real trainer, on rows that were held out, and told in the card."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from engine.contract.records import Recipe
from engine.encoding import encode_example
from engine.voice_figures import STARTER, measure_recipe, read_voice, render_figures, with_shots

SAMPLE = Path(__file__).parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("voice") / "small_shop.csv"
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:41]), encoding="utf-8")
    return file


def test_every_tenth_row_is_held_out_and_no_completion_stands_on_both_sides(few):
    examples = read_voice(few)
    held_out = {example.completion for example in examples if example.split == "validation"}
    train = {example.completion for example in examples if example.split == "train"}
    assert len(held_out) == 4 and len(train) == 36 and not held_out & train


def test_a_tuned_starter_is_less_surprised_by_what_it_never_saw_and_both_answer(few):
    figures = measure_recipe(few, STARTER, Recipe(method="all-layers", epochs=3), answer=True)
    assert figures.loss < figures.base_loss and figures.loss < figures.shots_loss
    assert figures.examples == 36 and figures.held_out == len(figures.answers) == 4
    text = render_figures([figures])
    assert f"| small shop (36 examples, 4 held out) | all-layers | {figures.base_loss:.2f} |" in text
    assert all(f"**{prompt}**" in text for prompt, _, _ in figures.answers)


def test_examples_in_the_prompt_are_earlier_turns_and_are_not_scored(few):
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    examples = read_voice(few)
    row = encode_example(tokenizer, "Describe a tent.", "A tent.", 512)
    [(ids, learnt)] = with_shots(tokenizer, examples, [(row.input_ids, row.learnt)])
    text = tokenizer.decode(ids)
    assert text.count("<|user|>") == 4 and text.count("<|endoftext|>") == 1
    assert text.endswith("<|user|>Describe a tent.<|assistant|>A tent.<|end|>")
    assert (
        tokenizer.decode([one for one, counts in zip(ids, learnt, strict=True) if counts]) == "A tent.<|end|>"
    )
    assert len(ids) == len(learnt)


def test_nothing_measured_says_nothing():
    assert render_figures([]) == ""
