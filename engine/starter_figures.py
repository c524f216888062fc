"""Judge the starter on held-out text: how surprised it is, do its answers end, do they go in circles.

Knows an exported model, its tokenizer and rows of the corpus. Does not know how the model was trained.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.contract.records import BALANCED_TEMPERATURE
from engine.encoding import encode_example, encode_prompt
from engine.sampling import TOP_P

Item = TypeVar("Item")

SAMPLING_SEED = 7
MAX_NEW_TOKENS = 200


@dataclass(frozen=True)
class Figures:
    """What the card says about quality; `_bits` are bits per UTF-8 byte, shares are 0 to 1."""

    parameters: int
    vocabulary: int
    prose_bits: float
    pairs_bits: float
    unigram_prose_bits: float
    unigram_pairs_bits: float
    prose_texts: int
    pairs: int
    answers: int
    ended_share: float
    looping_share: float
    repeated_share: float
    distinct_1: float
    distinct_2: float
    mean_answer_words: float
    load_seconds: float
    first_token_seconds: float


def measure(
    folder: Path, held_out: Sequence[dict[str, str]], seen: Sequence[dict[str, str]], answers: int = 200
) -> Figures:
    """Figures of the model in `folder` on held-out rows of the corpus; `seen` are rows of its training.

    `answers` of the held-out prompts, evenly spread, are answered. The unigram baseline knows how frequent
    each token is in `seen` and nothing else.
    """
    started = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    load_seconds = time.perf_counter() - started
    tokenizer = AutoTokenizer.from_pretrained(folder)
    context = model.config.max_position_embeddings
    texts = [row["text"] for row in held_out if "text" in row]
    pairs = [row for row in held_out if "prompt" in row]
    encoded = [encode_example(tokenizer, pair["prompt"], pair["completion"], context) for pair in pairs]
    whole = [(pair, example) for pair, example in zip(pairs, encoded, strict=True) if not example.truncated]
    windows = [window for text in texts for window in _windows(tokenizer, text, context)]
    examples = [(example.input_ids, example.learnt) for _, example in whole]

    prose_bytes = math.log(2) * sum(len(text.encode()) for text in texts)
    pairs_bytes = math.log(2) * sum(len(pair["completion"].encode()) for pair, _ in whole)
    unigram = unigram_nats(tokenizer, seen)
    prompts = [pair["prompt"] for pair in pairs[:: max(1, len(pairs) // answers)]]
    sampled = sample_answers(model, tokenizer, prompts)
    words = [answer.lower().split() for answer, _ in sampled]
    return Figures(
        parameters=model.num_parameters(),
        vocabulary=len(tokenizer),
        prose_bits=summed_nats(model, windows) / prose_bytes,
        pairs_bits=summed_nats(model, examples) / pairs_bytes,
        unigram_prose_bits=_summed_unigram_nats(unigram, windows) / prose_bytes,
        unigram_pairs_bits=_summed_unigram_nats(unigram, examples) / pairs_bytes,
        prose_texts=len(texts),
        pairs=len(whole),
        answers=len(sampled),
        ended_share=_mean(ended for _, ended in sampled),
        looping_share=_mean(is_looping(answer) for answer, _ in sampled),
        repeated_share=_mean(repeated_share(answer) for answer, _ in sampled),
        distinct_1=distinct_share(words, 1),
        distinct_2=distinct_share(words, 2),
        mean_answer_words=_mean(map(len, words)),
        load_seconds=load_seconds,
        first_token_seconds=time_first_token(model, tokenizer, prompts[:20]),
    )


def time_first_token(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str]
) -> float:
    """Median seconds from a prompt's text to the first token of its answer."""
    seconds = []
    for prompt in prompts:
        started = time.perf_counter()
        ids = torch.tensor([encode_prompt(tokenizer, prompt, model.config.max_position_embeddings // 2)])
        model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def unigram_nats(tokenizer: PreTrainedTokenizerBase, rows: Sequence[dict[str, str]]) -> torch.Tensor:
    """(vocabulary,): the surprise of each token by its frequency in `rows` alone, add-one smoothed."""
    texts = [row.get("text") or f"{row['prompt']}\n{row['completion']}" for row in rows]
    counts = torch.ones(len(tokenizer), dtype=torch.float64)
    for batch in _batched(texts, 1000):
        encoded = tokenizer(batch, add_special_tokens=False, split_special_tokens=True, verbose=False)
        for ids in encoded["input_ids"]:
            # Every text has an end, as every answer has.
            counts += torch.bincount(torch.tensor([*ids, tokenizer.eos_token_id]), minlength=len(counts))
    return -(counts / counts.sum()).log()


def _summed_unigram_nats(nats: torch.Tensor, examples: Iterable[tuple[list[int], list[bool]]]) -> float:
    return float(
        sum(
            nats[torch.tensor(ids[1:])][torch.tensor(marks[1:], dtype=torch.bool)].sum()
            for ids, marks in examples
            if len(ids) > 1
        )
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


def distinct_share(texts: Iterable[Sequence[str]], length: int) -> float:
    """Distinct-n over all texts together (Li et al. 2016, arXiv 1510.03055): different runs / runs."""
    runs = [run for words in texts for run in _runs(words, length)]
    return len(set(runs)) / len(runs) if runs else 0.0


def _runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(1, len(listed))
