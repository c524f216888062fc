"""Asks a model held-out prompts with stock libraries."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.contract.records import BALANCED_TEMPERATURE
from engine.encoding import encode_prompt
from engine.sampling import TOP_P

SAMPLING_SEED = 7
MAX_NEW_TOKENS = 160
ROWS_AT_ONCE = 40


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
    for batch in _batched(prompts, ROWS_AT_ONCE):
        rows = [encode_prompt(tokenizer, prompt, room) for prompt in batch]
        longest = max(map(len, rows))
        ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(row)) + row for row in rows])
        out = model.generate(
            input_ids=ids,
            # By length: the token that pads may stand inside a prompt too.
            attention_mask=torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows]),
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


def _batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
