"""Answers of both sides of a run that a `LlamaDecoder` advances together: a pass gives each its next token.

Each row has its own length and its own pages; nothing is padded. What prompts begin with alike, whether they
are asked together or one after the other, is read once. Knows positions and pages. Does not know weights,
requests, or how a token is chosen.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch

from engine.answer_batch import Row, Steps
from engine.contract.records import Side
from engine.kv_cache import Text, pages_for
from engine.llama_decoder import LlamaDecoder, Tokens

CACHE_BYTES = 2**30
"""Answers that would need more wait until others have left; a single one may always begin."""
PASS_TOKENS = 1_024
"""Bounds what a pass over long prompts takes of memory."""


class DecodeBatch:
    """The answers in the making of one decoder."""

    def __init__(self, decoder: LlamaDecoder) -> None:
        self._decoder = decoder
        self._texts: dict[Row, Text] = {}
        """Base before tuned."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._texts)

    def has_room_for(self, rows: Sequence[Row]) -> bool:
        """Whether these may begin now, counting each to its end."""
        everyone = [*self.rows, *rows]
        pages = sum(pages_for(_last_position(row, self._virtual(row.side))) for row in everyone)
        return len(everyone) == 1 or pages * self._decoder.cache.shape.page_bytes <= CACHE_BYTES

    @torch.inference_mode()
    def begin(self, rows: Sequence[Row]) -> Steps:
        """The first token of new answers, which then go on with the others; an error leaves those alone."""
        begun: dict[Row, Text] = {}
        try:
            for row in sorted(rows, key=lambda row: row.side):
                begun[row] = self._decoder.cache.begin(row.side, self._prompt(row))
            steps = self._read_prompts(begun)
        except BaseException:
            for text in begun.values():
                self._decoder.cache.end(text, was_read=False)
            raise
        joined = sorted({**self._texts, **begun}.items(), key=lambda item: item[0].side)
        self._texts = dict(joined)
        self.leave([row for row, delta in steps if delta.ended_by])
        return steps

    @torch.inference_mode()
    def advance(self) -> Steps:
        """One more token of each; after an error all are lost and none is left."""
        try:
            for row, text in self._texts.items():
                text.ids.append(row.decoding.token_ids[-1])
                self._decoder.cache.reserve(text, len(text.ids))
            steps = self._step(self._texts, [(text, len(text.ids) - 1) for text in self._texts.values()])
        except BaseException:
            self.leave(self.rows)
            raise
        self.leave([row for row, delta in steps if delta.ended_by])
        return steps

    def leave(self, rows: Sequence[Row]) -> None:
        """Give these up, whether they are here or not."""
        for row in rows:
            if text := self._texts.pop(row, None):
                self._decoder.cache.end(text)
        if not self._texts:
            self._decoder.cache.let_go()

    # --- passes -----------------------------------------------------------------------------------------

    def _virtual(self, side: Side) -> int:
        virtual = self._decoder.virtual
        return len(virtual) if side == "tuned" and virtual is not None else 0

    def _prompt(self, row: Row) -> list[int]:
        return [-1 - number for number in range(self._virtual(row.side))] + row.decoding.prompt_ids

    def _read_prompts(self, begun: dict[Row, Text]) -> Steps:
        """In passes of so many tokens; a row chooses its first token after the pass that ends its prompt."""
        steps: Steps = []
        rows: dict[Row, Text] = {}
        places: list[tuple[Text, int]] = []
        for row, text in begun.items():
            for position in range(text.shared, len(text.ids)):
                places.append((text, position))
                rows[row] = text
                if len(places) == PASS_TOKENS:
                    steps += self._step(rows, places)
                    rows, places = {}, []
        return steps + self._step(rows, places)

    def _step(self, rows: dict[Row, Text], places: Sequence[tuple[Text, int]]) -> Steps:
        """A pass over these positions, and the token that each row chooses whose last one is among them."""
        if not places:
            return []
        started = perf_counter()
        texts = list(rows.values())
        number_of = {id(text): number for number, text in enumerate(texts)}
        ends = [index for index, (text, position) in enumerate(places) if position == len(text.ids) - 1]
        tuned = [id(text) for row, text in rows.items() if row.side == "tuned"]
        tokens = Tokens(
            ids=np.array([text.ids[position] for text, position in places], np.int64),
            texts=texts,
            text_of=np.array([number_of[id(text)] for text, _ in places], np.int32),
            position_of=np.array([position for _, position in places], np.int32),
            first_tuned=sum(id(text) not in tuned for text, _ in places),
            wanted=ends,
        )
        logits = self._decoder.forward(tokens)
        seconds = perf_counter() - started
        ending = {id(places[index][0]) for index in ends}
        chosen = [row for row, text in rows.items() if id(text) in ending]
        return [
            (row, row.decoding.take(its_logits, seconds))
            for row, its_logits in zip(chosen, logits, strict=True)
        ]


def _last_position(row: Row, virtual: int) -> int:
    return virtual + len(row.decoding.prompt_ids) + row.decoding.sampling.max_tokens
