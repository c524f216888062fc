"""`python -m engine.generation`: the generator, a long-lived process that answers the supervisor's prompts.

    stdin   {"id", "base_folder", "artefact_folder" or null, "is_adapter", "prompt",
             "sides": ["base", "tuned"], "max_tokens", "temperature", "seed"}
                                      one request a line; they are answered one after another
            {"cancel": id}            give that answer up, at the latest after one token
            end of file               the supervisor is gone: exit
    stdout  {"ready": true}           once, after the imports
            {"id", "event": {…}}      fields of AnswerEvent; an answer is over when each side is `done`, or
                                      with a `failure`; a cancelled side is `done` without `ended_by`

Both sides take turns token by token. Knows the pipe and the order of events. Does not know runs, rows, queues
or HTTP: who may ask, and how many wait, is the supervisor's business.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Annotated, Any, TextIO

import torch
from pydantic import Field, ValidationError

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import MAX_ANSWER_TOKENS, MAX_PROMPT_CHARACTERS, AnswerEvent, Record, Side
from engine.device import detect_device
from engine.sampling import Decoding, Sampling
from engine.tuned_model import LoadedModels


class GeneratorRequest(Record):
    """One prompt for one or two sides, with the folders that the supervisor resolved."""

    id: str
    base_folder: Path
    artefact_folder: Path | None
    is_adapter: bool
    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
    sides: Annotated[list[Side], Field(min_length=1, max_length=2)]
    max_tokens: Annotated[int, Field(ge=1, le=MAX_ANSWER_TOKENS)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]


class Inbox:
    """Lines of stdin, read by a thread of its own so that a cancel is seen in the middle of an answer."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._cancelled: set[str] = set()
        self._lock = Lock()

    def read_all(self, lines: TextIO) -> None:
        for line in lines:
            message = _read_message(line)
            if "cancel" in message:
                with self._lock:
                    self._cancelled.add(str(message["cancel"]))
            elif message:
                self._requests.put(message)
        # An answer in the middle has nobody left to read it: leave without unwinding torch.
        os._exit(0)

    def next(self) -> dict[str, Any]:
        return self._requests.get()

    def is_cancelled(self, request_id: str) -> bool:
        with self._lock:
            return request_id in self._cancelled

    def forget(self, request_id: str) -> None:
        with self._lock:
            self._cancelled.discard(request_id)
            if self._requests.empty():
                # What is left was cancelled after its answer had ended.
                self._cancelled.clear()


def answer(models: LoadedModels, request: GeneratorRequest) -> Iterator[AnswerEvent]:
    """The events of one request: the sides alternate token by token until each has ended."""
    model = models.get(request.base_folder, request.artefact_folder, request.is_adapter)
    sampling = Sampling(request.max_tokens, request.temperature, request.seed)
    speaking = {side: model.start(side, request.prompt, sampling) for side in dict.fromkeys(request.sides)}
    while speaking:
        for side, decoding in list(speaking.items()):
            event = _step(side, decoding)
            if event.done:
                del speaking[side]
            if event.text or event.done:
                yield event


def _step(side: Side, decoding: Decoding) -> AnswerEvent:
    delta = decoding.step()
    if not delta.ended_by:
        return AnswerEvent(side=side, text=delta.text)
    return AnswerEvent(
        side=side,
        text=delta.text,
        done=True,
        ended_by=delta.ended_by,
        tokens=len(decoding.token_ids),
        seconds=round(decoding.seconds, 3),
    )


def serve(inbox: Inbox, protocol: TextIO) -> None:
    """Answer requests one after another, for ever; the inbox ends the process."""
    models = LoadedModels(detect_device().kind)
    _send(protocol, {"ready": True})
    while True:
        message = inbox.next()
        request_id = str(message.get("id"))
        for event in _events(models, message, inbox):
            _send(protocol, {"id": request_id, "event": event.model_dump(exclude_unset=True)})
        inbox.forget(request_id)


def _events(models: LoadedModels, message: dict[str, Any], inbox: Inbox) -> Iterator[AnswerEvent]:
    try:
        request = GeneratorRequest.model_validate(message)
        open_sides = list(dict.fromkeys(request.sides))
        for event in answer(models, request):
            if inbox.is_cancelled(request.id):
                break
            if event.done and event.side:
                open_sides.remove(event.side)
            yield event
        yield from (AnswerEvent(side=side, done=True) for side in open_sides)
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            models.clear()
        yield AnswerEvent(failure=_failure(error))


def _failure(error: Exception) -> Failure:
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


def _read_message(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _send(protocol: TextIO, message: dict[str, Any]) -> None:
    protocol.write(json.dumps(message) + "\n")
    protocol.flush()


def main() -> None:
    # Whatever a library prints must not get between the lines of the protocol.
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox = Inbox()
    Thread(target=inbox.read_all, args=(sys.stdin,), daemon=True).start()
    serve(inbox, protocol)


if __name__ == "__main__":
    main()
