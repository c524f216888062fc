"""Judge the starter on held-out text: how surprised it is, do its answers end, do they go in circles.

Knows an exported model, its tokenizer and rows of the corpus. Does not know how the model was trained.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.encoding import encode_example, encode_prompt

Item = TypeVar("Item")

TEMPERATURE = 0.7
SAMPLING_SEED = 7
MAX_NEW_TOKENS = 200


@dataclass(frozen=True)
class Figures:
    """What the card says about quality; `_bits` are bits per UTF-8 byte, shares are 0 to 1."""

    parameters: int
    vocabulary: int
    prose_bits: float
    pairs_bits: float
    prose_texts: int
    pairs: int
    answers: int
    ended_share: float
    repeated_share: float
    mean_answer_words: float


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, str]], answers: int = 200
) -> Figures:
    """Figures on held-out rows; `answers` of the prompts among them, evenly spread, are answered."""
    context = model.config.max_position_embeddings
    texts = [row["text"] for row in rows if "text" in row]
    pairs = [row for row in rows if "prompt" in row]
    encoded = [encode_example(tokenizer, pair["prompt"], pair["completion"], context) for pair in pairs]
    whole = [(pair, example) for pair, example in zip(pairs, encoded, strict=True) if not example.truncated]

    prose_nats = summed_nats(
        model, (window for text in texts for window in _windows(tokenizer, text, context))
    )
    pairs_nats = summed_nats(model, ((example.input_ids, example.learnt) for _, example in whole))
    prompts = [pair["prompt"] for pair in pairs[:: max(1, len(pairs) // answers)]]
    sampled = sample_answers(model, tokenizer, prompts)
    return Figures(
        parameters=model.num_parameters(),
        vocabulary=len(tokenizer),
        prose_bits=prose_nats / math.log(2) / sum(len(text.encode()) for text in texts),
        pairs_bits=pairs_nats / math.log(2) / sum(len(pair["completion"].encode()) for pair, _ in whole),
        prose_texts=len(texts),
        pairs=len(whole),
        answers=len(sampled),
        ended_share=_mean(ended for _, ended in sampled),
        repeated_share=_mean(repeated_share(answer) for answer, _ in sampled),
        mean_answer_words=_mean(len(answer.split()) for answer, _ in sampled),
    )


def _windows(
    tokenizer: PreTrainedTokenizerBase, text: str, context: int
) -> Iterator[tuple[list[int], list[bool]]]:
    """Spans that fit the context; neighbours share one token, so that each token is predicted once."""
    ids = [
        tokenizer.bos_token_id,
        *tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"],
    ]
    for start in range(0, len(ids) - 1, context - 1):
        span = ids[start : start + context]
        yield span, [True] * len(span)


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
        logits = model(input_ids=ids).logits[:, :-1]
        total += cross_entropy(logits[counted].float(), ids[:, 1:][counted], reduction="sum").item()
    return total


@torch.no_grad()
def sample_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Iterable[str],
    max_new_tokens: int = MAX_NEW_TOKENS,
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
            temperature=TEMPERATURE,
            top_k=0,
        )
        for row in out[:, longest:].tolist():
            ended = tokenizer.eos_token_id in row
            answers.append((tokenizer.decode(row, skip_special_tokens=True).strip(), ended))
    return answers


def repeated_share(text: str, words: int = 4) -> float:
    """Which share of the runs of four words stood earlier in the same text."""
    tokens = text.lower().split()
    runs = [tuple(tokens[start : start + words]) for start in range(len(tokens) - words + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(1, len(listed))
