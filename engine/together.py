"""Answers that the same weights write, advanced together: one forward pass gives each its next token.

Answers join and leave while others go on. What several new ones begin with alike (a shared instruction, the
same examples before each prompt) is computed once.

What an answer says does not depend on what is written beside it, but a matrix product rounds differently for
another number of rows: in fp32 the logits of an answer alone and among others differ by some 1e-6, so its
text is the same unless two tokens were as close as that (`Decoding.margin` says how close they came). An
answer alone is computed exactly as a stock model computes it.

Knows passes, padding and positions. Does not know whose weights these are, requests, or how a token is
chosen.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

import torch
from torch.nn.functional import pad
from transformers import DynamicCache

from engine.answer_batch import Row, Steps
from engine.beginnings import Family, find_families
from engine.contract.records import Side
from engine.rows import Batch, join, leave_out, repeat, start_batch

CACHE_BYTES = 2**30
"""Answers that would need more wait until others have left; a single one may always begin."""


class Weights(Protocol):
    """What is asked of a model (`engine/stock_model.py`)."""

    @property
    def bytes_per_position(self) -> int: ...
    @property
    def sees_all(self) -> bool: ...
    def embed(self, side: Side, token_ids: Sequence[int]) -> torch.Tensor: ...
    def embed_beginning(self, side: Side, token_ids: Sequence[int]) -> torch.Tensor: ...
    def logits(
        self,
        sides: Sequence[Side],
        embedded: torch.Tensor,
        cache: DynamicCache,
        mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor: ...


class Together:
    """The answers in the making of one set of weights."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._batch = start_batch(())

    @property
    def rows(self) -> tuple[Row, ...]:
        return self._batch.rows

    def has_room_for(self, rows: Sequence[Row]) -> bool:
        """Whether these may begin now, counting each to the end of the longest."""
        everyone = [*self.rows, *rows]
        longest = max(len(row.decoding.prompt_ids) + row.decoding.sampling.max_tokens for row in everyone)
        return len(everyone) == 1 or len(everyone) * longest * self._weights.bytes_per_position <= CACHE_BYTES

    @torch.inference_mode()
    def begin(self, rows: Sequence[Row]) -> Steps:
        """The first token of new answers, which then go on with the others; an error leaves those alone."""
        begun, steps = start_batch(()), Steps()
        for family in find_families(rows, may_share=self._weights.sees_all):
            batch, its_steps = self._read_prompts(family)
            begun, steps = join(begun, batch), steps + its_steps
        self._batch = join(self._batch, leave_out(begun, _ended(steps)))
        return steps

    @torch.inference_mode()
    def advance(self) -> Steps:
        """One more token of each; after an error all are lost and none is left."""
        batch, self._batch = self._batch, start_batch(())
        ones = torch.ones((len(batch.rows), 1), dtype=torch.bool)
        last = [row.decoding.token_ids[-1] for row in batch.rows]
        embedded = self._weights.embed(batch.sides[0], last).unsqueeze(1)
        batch, steps = self._step(batch, embedded, ones)
        self._batch = leave_out(batch, _ended(steps))
        return steps

    def leave(self, rows: Sequence[Row]) -> None:
        """Give these up, whether they are here or not."""
        with torch.inference_mode():
            self._batch = leave_out(self._batch, rows)

    # --- passes -----------------------------------------------------------------------------------------

    def _read_prompts(self, family: Family) -> tuple[Batch, Steps]:
        if not family.shared:
            batch = start_batch(family.rows)
            prompts = [self._weights.embed_beginning(row.side, row.decoding.prompt_ids) for row in batch.rows]
            return self._step(batch, *_pad_left(prompts))
        batch = self._read_shared(family)
        rests = [row.decoding.prompt_ids[family.shared :] for row in batch.rows]
        prompts = [self._weights.embed(row.side, rest) for row, rest in zip(batch.rows, rests, strict=True)]
        return self._step(batch, *_pad_left(prompts))

    def _read_shared(self, family: Family) -> Batch:
        first = family.rows[0]
        beginning = self._weights.embed_beginning(first.side, first.decoding.prompt_ids[: family.shared])
        batch, _ = self._pass(start_batch([first]), *_pad_left([beginning]))
        return repeat(batch, family.rows)

    def _step(self, batch: Batch, embedded: torch.Tensor, is_real: torch.Tensor) -> tuple[Batch, Steps]:
        """A pass, and the token that each row chooses after it."""
        started = perf_counter()
        batch, logits = self._pass(batch, embedded, is_real)
        seconds = perf_counter() - started
        pairs = zip(batch.rows, logits, strict=True)
        return batch, [(row, row.decoding.take(its_logits, seconds)) for row, its_logits in pairs]

    def _pass(
        self, batch: Batch, embedded: torch.Tensor, is_real: torch.Tensor
    ) -> tuple[Batch, torch.Tensor]:
        """Logits after the new columns, which the cache then holds too."""
        mask = torch.cat((batch.mask, is_real), dim=1)
        if bool(mask.all()):
            # As a stock model is called, which then takes its quickest way.
            logits = self._weights.logits(batch.sides, embedded, batch.cache)
        else:
            places = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -embedded.shape[1] :]
            device = embedded.device
            logits = self._weights.logits(
                batch.sides, embedded, batch.cache, mask.long().to(device), places.to(device)
            )
        return Batch(batch.rows, mask, batch.cache), logits


def _pad_left(prompts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, columns, hidden size), and which of the columns are real."""
    width = max(len(prompt) for prompt in prompts)
    embedded = torch.stack([pad(prompt, (0, 0, width - len(prompt), 0)) for prompt in prompts])
    is_real = torch.arange(width) >= torch.tensor([[width - len(prompt)] for prompt in prompts])
    return embedded, is_real


def _ended(steps: Steps) -> list[Row]:
    return [row for row, delta in steps if delta.ended_by]
