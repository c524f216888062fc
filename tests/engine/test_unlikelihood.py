"""What counts as a circle, what its unlikelihood is, and that a model which goes in circles unlearns it."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.corpus import SPECIAL_TOKENS
from engine.packing import LEARNT, PADDING, PROMPT
from engine.unlikelihood import mark_circles, split_prompts, summed_unlikelihood

LONG_WORDS = [False] * 50 + [True] * 50


@pytest.mark.parametrize(
    ("answer", "prompt", "marked"),
    [
        ([1, 2, 3, 4, 5, 6], [], []),
        # The fourth token of a run that stood before closes a circle.
        ([1, 2, 3, 4, 9, 1, 2, 3, 4], [], [8]),
        # A run that the prompt has, a product's name perhaps, may come again.
        ([1, 2, 3, 4, 9, 1, 2, 3, 4], [7, 1, 2, 3, 4], []),
        # A stutter is one even so.
        ([1, 1], [1, 1], [1]),
        ([1, 2, 1, 2], [], [3]),
        ([1, 2, 3, 1, 2, 3], [], [5]),
        # "waterproof and waterproof", but not "the … the".
        ([60, 2, 60], [], [2]),
        ([6, 2, 6], [], []),
        ([60, 1, 2, 3, 4, 5, 6, 60], [], []),
    ],
)
def test_circles_stutters_and_words_said_twice_are_marked(
    answer: list[int], prompt: list[int], marked: list[int]
) -> None:
    marks = mark_circles(answer, prompt, LONG_WORDS)
    assert [place for place, mark in enumerate(marks) if mark] == marked


def test_each_prompt_of_a_packed_row_is_found_with_the_opening_of_its_answer() -> None:
    tokens = np.array([10, 11, 12, 13, 20, 21, 22, 0])
    uses = np.array([PROMPT, PROMPT, LEARNT, LEARNT, PROMPT, PROMPT, LEARNT, PADDING])
    assert list(split_prompts(tokens, uses)) == [[10, 11], [20, 21]]
    assert list(split_prompts(tokens[:2], uses[:2])) == [[10, 11]]


def test_unlikelihood_is_that_of_the_definition_and_its_steps_make_marked_tokens_rarer() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(SPECIAL_TOKENS) + 40,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
    )
    model = LlamaForCausalLM(config)
    sequences = torch.randint(0, 40, (2, 9))
    marks = torch.zeros(2, 8, dtype=torch.bool)
    marks[0, 3] = marks[1, 6] = True

    def chances() -> torch.Tensor:
        with torch.no_grad():
            shares = model(input_ids=sequences).logits[:, :-1].softmax(-1)
        return shares.gather(2, sequences[:, 1:, None])[..., 0][marks]

    before = chances()
    loss = summed_unlikelihood(model, sequences, marks)
    assert loss.item() == pytest.approx(-(1 - before).log().sum().item(), rel=1e-4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        torch.autograd.backward(summed_unlikelihood(model, sequences, marks))
        optimizer.step()
    assert (chances() < before).all()
