"""One answer, token by token: choose the next token, know when it ends, turn tokens into text.

A `Decoding` is handed logits and never knows whose they are, nor what was computed beside them: its draws
come from a generator of its own, so an answer depends on its seed and its logits alone. It does not know
models, caches, requests or folders. The choice is ours and not `generate()`'s because many answers advance
together, each token is sent at once, and an answer can be given up between two tokens.

Repetition is held down as much as the model's generation_config.json says, and in the way stock `generate()`
does it: so an answer is what the download gives.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch

TOP_P = 0.95
"""Unlikely tokens that together weigh less than the rest of this are never drawn."""
_LIKELIEST = 256
"""So many are looked at first: together they nearly always weigh `TOP_P`, and sorting all is slow."""
_HALF_A_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. Temperature 0 always takes the likeliest token; the seed then plays no part."""

    max_tokens: int
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Delta:
    """What one step of one side added."""

    text: str
    ended_by: Literal["end", "length"] | None = None


class Decoder(Protocol):
    """What is used of a tokenizer."""

    def decode(self, token_ids: list[int], **options: bool) -> Any: ...


class TextStream:
    """Turns growing token ids into pieces of text that never end inside a character."""

    def __init__(self, tokenizer: Decoder) -> None:
        self._tokenizer = tokenizer
        self._sent = ""

    def read_new(self, token_ids: list[int]) -> str:
        # Everything is decoded again each time: what a token looks like can depend on its neighbours, and
        # 512 ids decode in well under a millisecond.
        text = render_text(self._tokenizer, token_ids)
        if not text.startswith(self._sent):
            return ""
        new, self._sent = text[len(self._sent) :], text
        return new


def render_text(tokenizer: Decoder, token_ids: list[int]) -> str:
    """The ids as text without special tokens; bytes that are no whole character (yet) are left out."""
    text: str = tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.replace(_HALF_A_CHARACTER, "")


def choose_token(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The most likely token at temperature 0, otherwise one drawn from the likeliest `TOP_P` of the mass."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    weights = torch.softmax(logits / sampling.temperature, dim=-1)
    sorted_weights, order = weights.topk(min(_LIKELIEST, len(weights)))
    if float(sorted_weights.sum()) < TOP_P:
        sorted_weights, order = weights.sort(descending=True, stable=True)
    sums = sorted_weights.double().cumsum(dim=-1)
    kept = sums[: int((sums - sorted_weights < TOP_P).sum())]
    drawn = torch.rand((), dtype=torch.float64, generator=generator) * kept[-1]
    return int(order[min(int(torch.searchsorted(kept, drawn, right=True)), len(kept) - 1)])


@dataclass(eq=False)
class Decoding:
    """An answer in the making: `take()` adds a token; after a Delta with `ended_by` there is none to add."""

    prompt_ids: list[int]
    end_token_ids: frozenset[int]
    text: TextStream
    sampling: Sampling
    repetition_penalty: float = 1.0
    token_ids: list[int] = field(default_factory=list)
    seconds: float = 0.0
    """Of all steps that it took part in, whoever else did."""
    margin: float = float("inf")
    """The smallest lead of a likeliest token's logit over the runner-up: how far this stayed from a tie."""

    def __post_init__(self) -> None:
        self._generator = torch.Generator().manual_seed(self.sampling.seed)

    def take(self, logits: torch.Tensor, seconds: float) -> Delta:
        """Choose the next token; `logits` are 1-D float32 on the CPU and took `seconds`."""
        logits = self._hold_down_repetition(logits)
        token = choose_token(logits, self.sampling, self._generator)
        best, second = logits.topk(2).values.tolist()
        self.margin = min(self.margin, best - second)
        self.seconds += seconds
        return self._add(token)

    def _hold_down_repetition(self, logits: torch.Tensor) -> torch.Tensor:
        """Each token of prompt and answer made less likely, once (Keskar et al. 2019, arXiv 1909.05858)."""
        if self.repetition_penalty == 1.0:
            return logits
        seen = torch.tensor(sorted({*self.prompt_ids, *self.token_ids}))
        scores = logits[seen]
        penalised = torch.where(
            scores < 0, scores * self.repetition_penalty, scores / self.repetition_penalty
        )
        return logits.index_copy(0, seen, penalised)

    def _add(self, token: int) -> Delta:
        if token in self.end_token_ids:
            return Delta("", "end")
        self.token_ids.append(token)
        full = len(self.token_ids) >= self.sampling.max_tokens
        return Delta(self.text.read_new(self.token_ids), "length" if full else None)
