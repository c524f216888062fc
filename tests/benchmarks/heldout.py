"""Judges a model on held-out examples with stock libraries: how surprised it is, and what it answers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.contract.records import BALANCED_TEMPERATURE
from engine.encoding import encode_prompt
from engine.sampling import TOP_P

Item = TypeVar("Item")

SAMPLING_SEED = 7
MAX_NEW_TOKENS = 200


@torch.no_grad()
def summed_nats(
    model: PreTrainedModel, examples: Iterable[tuple[list[int], list[bool]]], batch_rows: int = 16
) -> float:
    """Cross-entropy summed over the tokens marked True, in nats; the first of a row is never predicted."""
    total = 0.0
    for batch in _batched(sorted(examples, key=lambda example: len(example[0])), batch_rows):
        longest = len(batch[-1][0])
        ids = torch.tensor([row + [0] * (longest - len(row)) for row, _ in batch])
        counted = torch.tensor([marks + [False] * (longest - len(marks)) for _, marks in batch])[:, 1:]
        # Virtual tokens, where a voice has some, stand before the real ones.
        logits = model(input_ids=ids).logits[:, -longest:-1]
        total += cross_entropy(logits[counted].float(), ids[:, 1:][counted], reduction="sum").item()
    return total


@torch.no_grad()
def sample_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Iterable[str],
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = BALANCED_TEMPERATURE,
) -> list[tuple[str, bool]]:
    """An answer to each prompt and whether it ended by itself; the same every time on one machine."""
    torch.manual_seed(SAMPLING_SEED)
    room = model.config.max_position_embeddings // 2  # for the prompt; the rest is for the answer
    answers = []
    for batch in _batched(prompts, 40):
        rows = [encode_prompt(tokenizer, prompt, room) for prompt in batch]
        longest = max(map(len, rows))
        ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(row)) + row for row in rows])
        out = model.generate(
            input_ids=ids,
            attention_mask=(ids != tokenizer.pad_token_id).long(),
            max_new_tokens=min(max_new_tokens, room),
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=TOP_P,
        )
        for row in out[:, longest:].tolist():
            ended = tokenizer.eos_token_id in row
            answers.append((tokenizer.decode(row, skip_special_tokens=True).strip(), ended))
    return answers


def repeated_share(text: str) -> float:
    """Which share of the runs of four words stood earlier in the same text."""
    runs = _runs(text.lower().split(), 4)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def is_looping(text: str) -> bool:
    """Whether some run of four words stands more than twice in the text."""
    return max(Counter(_runs(text.lower().split(), 4)).values(), default=0) > 2


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
