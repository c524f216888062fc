"""The queue before the generator, and the generator's process: one answer runs, a few wait, the rest are
refused.

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
from engine.contract.records import AnswerEvent, AnswerRequest, Run
from engine.methods import get_method
from engine.models import get_model
from engine.processes import Child, cap_log, start_module, usable_cores
from engine.store import Store
from engine.workspace import Workspace

log = logging.getLogger(__name__)

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


@dataclass
class Ticket:
    """One request on its way: what to ask, and the events that came back so far. None ends them."""

    run_id: str
    question: dict[str, Any]
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
        self._queue: list[Ticket] = []
        """In order of arrival; the first one is being answered."""
        self._speaking: Ticket | None = None
        self._task: asyncio.Task[None] | None = None
        self._generator: Generator | None = None
        self._retirement: asyncio.TimerHandle | None = None

    def is_in_use(self, run_id: str) -> bool:
        return any(ticket.run_id == run_id for ticket in list(self._queue))

    def is_busy(self) -> bool:
        return bool(self._queue)

    def admit(self, request: AnswerRequest) -> Ticket:
        """A place in the queue, or EngineFailure: the run cannot answer, or too many wait."""
        ticket = Ticket(request.run_id, self._question(request))
        if len(self._queue) > MAX_WAITING:
            raise EngineFailure(
                "busy",
                f"{MAX_WAITING} answers are waiting already.",
                "Your prompt was not lost.",
                "Ask again in a moment.",
            )
        self._queue.append(ticket)
        self._tell_places()
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
        if ticket in self._queue:
            self._queue.remove(ticket)
            self._tell_places()
        if ticket is self._speaking and self._generator is not None:
            self._generator.child.send(json.dumps({"cancel": ticket.id}))

    async def close(self) -> None:
        for handle in (self._task, self._retirement):
            if handle is not None:
                handle.cancel()
        for ticket in self._queue:
            ticket.events.put_nowait(AnswerEvent(failure=_LEAVING))
            ticket.events.put_nowait(None)
        self._queue.clear()
        await self._end_generator()

    # --- what is asked ----------------------------------------------------------------------------

    def _question(self, request: AnswerRequest) -> dict[str, Any]:
        run = self._store.get_run(request.run_id)
        artefact = self._artefact(run)
        return {
            "base_folder": str(get_model(self._workspace, run.recipe.base_model)),
            "artefact_folder": str(artefact),
            "is_adapter": get_method(run.recipe.method).IS_ADAPTER,
            "prompt": request.prompt,
            "sides": list(dict.fromkeys(request.sides)),
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

    def _tell_places(self) -> None:
        for place, ticket in enumerate(self._queue):
            ticket.tell_place(place)

    async def _work(self) -> None:
        """Answer until nobody waits; then the generator stays ready for a while."""
        while self._queue:
            self._speaking = ticket = self._queue[0]
            try:
                await self._answer(ticket)
            except Exception:
                log.exception("an answer failed")
                ticket.events.put_nowait(AnswerEvent(failure=_DIED))
            finally:
                self._speaking = None
                ticket.events.put_nowait(None)
                if ticket in self._queue:
                    self._queue.remove(ticket)
                self._tell_places()
        loop = asyncio.get_running_loop()
        self._retirement = loop.call_later(
            self._idle_seconds, lambda: loop.create_task(self._end_generator())
        )

    async def _answer(self, ticket: Ticket) -> None:
        generator = await self._ready_generator()
        if generator is None or not await generator.say({"id": ticket.id, **ticket.question}):
            await self._replace(ticket)
            return
        if ticket.is_given_up:
            await generator.say({"cancel": ticket.id})
        open_sides = set(ticket.question["sides"])
        while open_sides:
            said = await generator.hear()
            if said is None:
                await self._replace(ticket)
                return
            event = _read_event(said, ticket.id)
            if event is None:
                continue
            ticket.events.put_nowait(event)
            open_sides -= {event.side} if event.done else set()
            if event.failure is not None:
                return

    async def _replace(self, ticket: Ticket) -> None:
        """The generator died or went silent: say so; the next answer starts another."""
        ticket.events.put_nowait(AnswerEvent(failure=_DIED))
        await self._end_generator()

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


def _read_event(said: dict[str, Any], ticket_id: str) -> AnswerEvent | None:
    """What was said of this ticket; what is left over of an earlier one is None."""
    if said.get("id") != ticket_id:
        return None
    try:
        return AnswerEvent.model_validate(said.get("event"))
    except ValidationError:
        log.warning("the generator said something that is no event")
        return None
