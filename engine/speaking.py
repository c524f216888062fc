"""All answers in the making: each request's sides begin as soon as it comes and advance token by token.

A round gives every answer one token, so that none waits behind a long one. What fails, fails the requests
whose answers were in that pass and no others. Knows requests, models and the order of events. Does not know
pipes or processes (`engine/generation.py`), nor how a pass is computed (`engine/answer_batch.py`).
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError

from engine.answer_batch import AnswerBatch, Row, Steps
from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import MAX_ANSWER_TOKENS, AnswerEvent, Question, Record
from engine.sampling import Delta, Sampling
from engine.tuned_model import LoadedModels, TunedModel


class GeneratorRequest(Record):
    """Questions to one or two sides of a run, with the folders that the supervisor resolved."""

    id: str
    base_folder: Path
    artefact_folder: Path | None
    is_adapter: bool
    questions: Annotated[list[Question], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1, le=MAX_ANSWER_TOKENS)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]


@dataclass(eq=False)
class Part:
    """One answer of a request."""

    request_id: str
    question: int | None
    """Its place among several; None if there is only one."""
    row: Row
    model: TunedModel
    together: AnswerBatch


Said = tuple[str, AnswerEvent]
"""A request's id and one event of it."""


class Speaking:
    """Requests on their way; each is over once every side is done, or with a failure."""

    def __init__(self, models: LoadedModels) -> None:
        self._models = models
        self._parts: dict[Row, Part] = {}
        """Every answer that has not ended."""
        self._arriving: list[Row] = []
        """Of these, in order, the ones that have not begun."""

    @property
    def is_silent(self) -> bool:
        return not self._parts

    def ask(self, message: dict[str, Any]) -> list[Said]:
        """Take a request in; what is said at once is why it cannot be answered."""
        try:
            request = GeneratorRequest.model_validate(message)
            self._take_in(request)
        except Exception as error:
            return [(str(message.get("id")), AnswerEvent(failure=self._failure_of(error)))]
        return []

    def cancel(self, request_id: str) -> list[Said]:
        given_up = self._of([request_id])
        self._drop(given_up)
        return [(request_id, _event(part, done=True)) for part in given_up]

    def advance(self) -> Iterator[Said]:
        """One round. What has come since the last one begins first."""
        for together, arrived in self._find_beginning().items():
            # Less those whose request has just failed on its other side.
            rows = [row for row in arrived if row in self._parts]
            yield from self._try(rows, partial(together.begin, rows))
        for together in dict.fromkeys(part.together for part in self._parts.values()):
            if together.rows:
                yield from self._try(together.rows, together.advance)

    # --- on the way in and out ------------------------------------------------------------------------

    def _take_in(self, request: GeneratorRequest) -> None:
        model = self._models.get(
            request.base_folder, request.artefact_folder, request.is_adapter, self._busy()
        )
        sampling = Sampling(request.max_tokens, request.temperature, request.seed)
        is_many = len(request.questions) > 1
        parts = [
            Part(
                request.id,
                number if is_many else None,
                model.start(side, question.prompt, sampling, question.turns),
                model,
                model.together(side),
            )
            for number, question in enumerate(request.questions)
            for side in dict.fromkeys(question.sides)
        ]
        self._parts |= {part.row: part for part in parts}
        self._arriving += [part.row for part in parts]

    def _find_beginning(self) -> dict[AnswerBatch, list[Row]]:
        """Who begins now, by where. Who finds no room keeps its place, and nobody overtakes it there."""
        beginning: dict[AnswerBatch, list[Row]] = {}
        full: set[AnswerBatch] = set()
        waiting = []
        for row in self._arriving:
            together = self._parts[row].together
            rows = beginning.get(together, [])
            if together in full or not together.has_room_for([*rows, row]):
                full.add(together)
                waiting.append(row)
            else:
                beginning[together] = [*rows, row]
        self._arriving = waiting
        return beginning

    def _drop(self, parts: Sequence[Part]) -> None:
        rows = [part.row for part in parts]
        for together in dict.fromkeys(part.together for part in parts):
            together.leave(rows)
        self._arriving = [row for row in self._arriving if row not in rows]
        for row in rows:
            del self._parts[row]

    def _busy(self) -> set[TunedModel]:
        return {part.model for part in self._parts.values()}

    def _of(self, request_ids: Sequence[str]) -> list[Part]:
        return [part for part in self._parts.values() if part.request_id in request_ids]

    # --- a pass and what comes of it ------------------------------------------------------------------

    def _try(self, rows: Sequence[Row], step: Callable[[], Steps]) -> list[Said]:
        # What a pass raises is whatever torch or the model at hand provokes.
        try:
            steps = step()
        except Exception as error:
            failed = list(dict.fromkeys(self._parts[row].request_id for row in rows))
            self._drop(self._of(failed))
            failure = self._failure_of(error)
            return [(request_id, AnswerEvent(failure=failure)) for request_id in failed]
        return [said for row, delta in steps if (said := self._tell(row, delta)) is not None]

    def _tell(self, row: Row, delta: Delta) -> Said | None:
        part = self._parts[row]
        if not delta.ended_by:
            return (part.request_id, _event(part, text=delta.text)) if delta.text else None
        del self._parts[row]
        ended = _event(
            part,
            text=delta.text,
            done=True,
            ended_by=delta.ended_by,
            tokens=len(row.decoding.token_ids),
            seconds=round(row.decoding.seconds, 3),
        )
        return part.request_id, ended

    def _failure_of(self, error: Exception) -> Failure:
        traceback.print_exception(error)
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            self._models.clear(self._busy())
        return render_failure(error)


def _event(part: Part, **fields: Any) -> AnswerEvent:
    if part.question is not None:
        fields["question"] = part.question
    return AnswerEvent(side=part.row.side, **fields)


def render_failure(error: Exception) -> Failure:
    if isinstance(error, EngineFailure):
        return error.failure
    if isinstance(error, ValidationError):
        return Failure(code="bad_request", what_happened="That question could not be read.")
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return Failure(
            code="out_of_memory",
            what_happened="The answer needed more memory than this machine has free.",
            what_you_have="Your tuned voice is safe.",
            what_to_do="Close other programs, or ask for a shorter answer.",
        )
    return Failure(
        code="unexpected",
        what_happened="The answer broke off for a reason we did not foresee.",
        what_you_have="Your tuned voice is safe.",
        what_to_do="Try again.",
    )
