"""The queue before the generator, and the generator's process: a few answers are written at once, a few
wait, the rest are refused.

An answer belongs to a task of its own, so that a reader that stalls holds up nobody. The process is started
for the first answer, ended after a while without any, and replaced when it dies. Does not know HTTP or how
answers are made (`engine/generation.py`).
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from pydantic import ValidationError

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import AnswerEvent, AnswerRequest, ManyAnswersRequest, Question, Run
from engine.methods import get_method
from engine.models.catalog import get_model
from engine.processes import Child, cap_log, start_module, usable_cores
from engine.store import Store
from engine.workspace import Workspace

log = logging.getLogger(__name__)

MAX_SPEAKING = 8
"""Requests answered at once."""
MAX_WAITING = 8
IDLE_SECONDS = 600.0
SILENCE_SECONDS = 180.0
"""Loading a large model from a slow disk takes minutes; no token takes longer."""

_DIED = Failure(
    code="unexpected",
    what_happened="The part of Voicewright that writes answers stopped unexpectedly.",
    what_you_have="Your runs and downloads are untouched.",
    what_to_do="Ask once more.",
)
_LEAVING = Failure(
    code="interrupted",
    what_happened="Voicewright was closed before the answer was complete.",
    what_you_have="Your runs and downloads are untouched.",
    what_to_do="Open it again and ask once more.",
)


@dataclass(eq=False)
class Ticket:
    """One request on its way: what to ask, and the events that came back so far. None ends them."""

    run_id: str
    question: dict[str, Any]
    open_answers: int
    """How many have not ended: a question has one for each side."""
    id: str = field(default_factory=lambda: uuid4().hex)
    events: "asyncio.Queue[AnswerEvent | None]" = field(default_factory=asyncio.Queue)
    is_given_up: bool = False
    place: int | None = None

    def tell_place(self, place: int) -> None:
        if place != self.place:
            self.place = place
            self.events.put_nowait(AnswerEvent(waiting=place))


class Generator:
    """One living generator process and what it says, line by line."""

    def __init__(self, workspace: Workspace) -> None:
        log_file = workspace.generator_log
        self.child: Child = start_module(
            "engine.generation",
            [],
            folder=workspace.root,
            log=log_file,
            threads=usable_cores(),
            talks_back=True,
            spins=True,
        )
        cap_log(log_file)
        self.lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stdout = self.child.process.stdout
        if stdout is not None:
            arguments = (stdout, asyncio.get_running_loop())
            threading.Thread(target=self._listen, args=arguments, name="generator", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self.child.poll() is None

    def wake(self) -> None:
        """Let whoever hears look up: somebody new wants to be answered."""
        self.lines.put_nowait({})

    async def say(self, message: dict[str, Any]) -> bool:
        return await asyncio.to_thread(self.child.send, json.dumps(message))

    async def hear(self) -> dict[str, Any] | None:
        """Its next line; None once it has ended, or has been silent for too long."""
        try:
            return await asyncio.wait_for(self.lines.get(), SILENCE_SECONDS)
        except TimeoutError:
            log.warning("the generator was silent for %.0f s and is ended", SILENCE_SECONDS)
            return None

    def end(self) -> None:
        self.child.kill()
        self.child.wait()

    def _listen(self, stdout: IO[bytes], loop: asyncio.AbstractEventLoop) -> None:
        for line in stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                self._pass_on(loop, said)
        self._pass_on(loop, None)

    def _pass_on(self, loop: asyncio.AbstractEventLoop, said: dict[str, Any] | None) -> None:
        # A RuntimeError says that the loop is closed: the engine is leaving.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self.lines.put_nowait, said)


class Answering:
    """Admission, order and lifetime of answers. All methods belong to the server's event loop."""

    def __init__(self, workspace: Workspace, store: Store, idle_seconds: float = IDLE_SECONDS) -> None:
        self._workspace = workspace
        self._store = store
        self._idle_seconds = idle_seconds
        self._waiting: list[Ticket] = []
        """In order of arrival."""
        self._speaking: dict[str, Ticket] = {}
        """By id: being answered, or about to be."""
        self._unsaid: list[Ticket] = []
        """Of these, the ones that the generator has not been told of."""
        self._task: asyncio.Task[None] | None = None
        self._generator: Generator | None = None
        self._retirement: asyncio.TimerHandle | None = None

    def is_in_use(self, run_id: str) -> bool:
        return any(ticket.run_id == run_id for ticket in [*self._speaking.values(), *self._waiting])

    def is_busy(self) -> bool:
        return bool(self._speaking or self._waiting)

    def admit(self, request: AnswerRequest | ManyAnswersRequest) -> Ticket:
        """A place in the queue, or EngineFailure: the run cannot answer, or too many wait."""
        questions = request.questions if isinstance(request, ManyAnswersRequest) else [_only(request)]
        ticket = Ticket(
            request.run_id,
            self._ask(request, questions),
            open_answers=sum(len(set(question.sides)) for question in questions),
        )
        if len(self._waiting) >= MAX_WAITING:
            raise EngineFailure(
                "busy",
                f"{MAX_WAITING} answers are waiting already.",
                "Your prompt was not lost.",
                "Ask again in a moment.",
            )
        self._waiting.append(ticket)
        self._move_up()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        if self._retirement is not None:
            self._retirement.cancel()
        return ticket

    async def read(self, ticket: Ticket) -> AsyncIterator[AnswerEvent]:
        """The ticket's events to their end; whoever stops reading must give the ticket up."""
        while (event := await ticket.events.get()) is not None:
            yield event

    def give_up(self, ticket: Ticket) -> None:
        """Its place is free at once; if it is being answered, the generator lets go at the next token."""
        ticket.is_given_up = True
        if self._generator is not None and ticket.id in self._speaking:
            if ticket in self._unsaid:
                self._generator.wake()
            else:
                self._generator.child.send(json.dumps({"cancel": ticket.id}))
        self._forget(ticket)

    async def close(self) -> None:
        for handle in (self._task, self._retirement):
            if handle is not None:
                handle.cancel()
        for ticket in [*self._speaking.values(), *self._waiting]:
            ticket.events.put_nowait(AnswerEvent(failure=_LEAVING))
            ticket.events.put_nowait(None)
        self._waiting.clear()
        self._speaking.clear()
        await self._end_generator()

    # --- what is asked ----------------------------------------------------------------------------

    def _ask(self, request: AnswerRequest | ManyAnswersRequest, questions: list[Question]) -> dict[str, Any]:
        run = self._store.get_run(request.run_id)
        artefact = self._artefact(run)
        return {
            "base_folder": str(get_model(self._workspace, run.recipe.base_model)),
            "artefact_folder": str(artefact),
            "is_adapter": get_method(run.recipe.method).IS_ADAPTER,
            "questions": [question.model_dump(mode="json") for question in questions],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }

    def _artefact(self, run: Run) -> Path:
        folder = self._workspace.run(run.id).artefact
        if run.state != "succeeded":
            raise EngineFailure(
                "conflict",
                "This run has no tuned voice to compare yet.",
                "",
                "Wait until it has finished, or choose a finished run.",
            )
        if not folder.is_dir():
            raise EngineFailure(
                "artefact_damaged",
                "The tuned voice of this run can no longer be found.",
                "Its curve and your examples are still there.",
                "Tune once more to get it back.",
            )
        return folder

    # --- the queue --------------------------------------------------------------------------------

    def _move_up(self) -> None:
        """Who has waited longest is answered as soon as there is room."""
        while self._waiting and len(self._speaking) < MAX_SPEAKING:
            ticket = self._waiting.pop(0)
            self._speaking[ticket.id] = ticket
            self._unsaid.append(ticket)
            ticket.tell_place(0)
        for place, ticket in enumerate(self._waiting, start=1):
            ticket.tell_place(place)
        if self._unsaid and self._generator is not None:
            self._generator.wake()

    def _forget(self, ticket: Ticket) -> None:
        self._speaking.pop(ticket.id, None)
        for tickets in (self._waiting, self._unsaid):
            if ticket in tickets:
                tickets.remove(ticket)
        self._move_up()

    def _end(self, ticket: Ticket, failure: Failure | None = None) -> None:
        if failure is not None:
            ticket.events.put_nowait(AnswerEvent(failure=failure))
        ticket.events.put_nowait(None)
        self._forget(ticket)

    async def _work(self) -> None:
        """Hand on and pass back until nobody is left; then the generator stays ready for a while."""
        while self._speaking:
            try:
                await self._pass_on()
            except Exception:
                log.exception("answers failed")
                await self._fail_all()
        loop = asyncio.get_running_loop()
        self._retirement = loop.call_later(
            self._idle_seconds, lambda: loop.create_task(self._end_generator())
        )

    async def _pass_on(self) -> None:
        """Tell the generator of those it does not know; hear one line."""
        generator = await self._ready_generator()
        said = await generator.hear() if generator and await self._say_all(generator) else None
        if said is None:
            await self._fail_all()
            return
        ticket = self._speaking.get(str(said.get("id")))
        event = _read_event(said) if ticket else None
        if ticket is None or event is None:
            return
        ticket.open_answers -= event.done
        is_over = event.failure is not None or not ticket.open_answers
        ticket.events.put_nowait(event)
        if is_over:
            self._end(ticket)

    async def _say_all(self, generator: Generator) -> bool:
        while self._unsaid:
            ticket = self._unsaid.pop(0)
            if not await generator.say({"id": ticket.id, **ticket.question}):
                return False
            if ticket.is_given_up:
                # The earlier word of it came before the question.
                await generator.say({"cancel": ticket.id})
        return True

    async def _fail_all(self) -> None:
        """The generator died or went silent: say so to those it was answering; the next start another."""
        failed = list(self._speaking.values())
        await self._end_generator()
        for ticket in failed:
            self._end(ticket, _DIED)

    # --- the process ------------------------------------------------------------------------------

    async def _ready_generator(self) -> Generator | None:
        if self._generator is not None and self._generator.is_alive:
            return self._generator
        self._generator = Generator(self._workspace)
        while (said := await self._generator.hear()) is not None:
            if said.get("ready"):
                return self._generator
        return None

    async def _end_generator(self) -> None:
        generator, self._generator = self._generator, None
        if generator is not None:
            await asyncio.to_thread(generator.end)


def _only(request: AnswerRequest) -> Question:
    return Question(prompt=request.prompt, turns=request.turns, sides=request.sides)


def _read_event(said: dict[str, Any]) -> AnswerEvent | None:
    try:
        return AnswerEvent.model_validate(said.get("event"))
    except ValidationError:
        log.warning("the generator said something that is no event")
        return None
