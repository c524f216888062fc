"""What leaves the engine besides records: failures with their status, streamed answers, files with a name.

Knows HTTP. Does not know routes, nor why something failed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from unicodedata import normalize
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from engine.contract.failures import HTTP_STATUS, EngineFailure, Failure
from engine.contract.records import MAX_EXAMPLES, AnswerEvent
from engine.endings import describe_disk
from engine.store import DatabaseError, explain

log = logging.getLogger(__name__)

PING_SECONDS = 10.0

_NOT_UNDERSTOOD = Failure(code="bad_request", what_happened="What was sent could not be understood.")
_NOTHING_HERE = Failure(code="not_found", what_happened="There is nothing at this address.")
_TOO_MANY_EXAMPLES = Failure(
    code="too_many_examples",
    what_happened=f"There are more than {MAX_EXAMPLES:,} examples.",
    what_you_have="Your file was not changed.",
    what_to_do="Choose the best of them and upload those.",
)
_UNEXPECTED = Failure(
    code="unexpected",
    what_happened="Something went wrong inside Voicewright.",
    what_you_have="Everything saved before is still there.",
    what_to_do="Try again; if it happens once more, restart Voicewright.",
)


# --- failures -------------------------------------------------------------------------------------------


def add_failures(app: FastAPI) -> None:
    """Whatever goes wrong leaves as a Failure; what happened inside goes to the log alone."""

    @app.exception_handler(EngineFailure)
    def told(request: Request, error: EngineFailure) -> Response:
        return answer_failure(error.failure)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer_failure(describe_invalid(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        failure = _NOTHING_HERE if error.status_code == 404 else _NOT_UNDERSTOOD
        return answer_failure(failure, error.status_code)

    @app.exception_handler(DatabaseError)
    def database(request: Request, error: DatabaseError) -> Response:
        log.error("the database refused: %s", error)
        return answer_failure(explain(error).failure)

    @app.exception_handler(OSError)
    def disk(request: Request, error: OSError) -> Response:
        log.exception("the disk refused")
        return answer_failure(describe_disk(error))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        log.exception("a request failed")
        return answer_failure(_UNEXPECTED)


def answer_failure(failure: Failure, status: int | None = None) -> Response:
    return JSONResponse({"failure": failure.model_dump()}, status or HTTP_STATUS[failure.code])


def describe_invalid(error: RequestValidationError) -> Failure:
    """Which field was not understood, in words; never what was sent."""
    first = error.errors()[0]
    place = [part for part in first["loc"] if part not in ("body", "path", "query")]
    if first["type"] == "too_long" and place == ["examples"]:
        return _TOO_MANY_EXAMPLES
    names = [str(part).replace("_", " ") for part in place if isinstance(part, str)]
    rows = [f"number {part + 1}" for part in place if isinstance(part, int)]
    if not names + rows:
        return _NOT_UNDERSTOOD
    where = ", ".join(names + rows)
    return Failure(code="bad_request", what_happened=f"What was sent could not be understood: {where}.")


# --- streams and files ----------------------------------------------------------------------------------


async def render_events(events: AsyncIterator[AnswerEvent]) -> AsyncIterator[str]:
    """Server-sent events as they come; a comment now and then keeps the line open through proxies."""
    following: asyncio.Future[AnswerEvent] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait([following], timeout=PING_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            event, following = following.result(), None
            yield f"data: {event.model_dump_json(exclude_defaults=True)}\n\n"
    except StopAsyncIteration:
        return
    finally:
        if following is not None:
            following.cancel()


def attachment(name: str) -> str:
    """A person's label as a file name that is safe everywhere, in plain letters and in full (RFC 5987)."""
    stem, _, ending = name.rpartition(".")
    kept = "".join(letter if letter.isalnum() or letter in " -_" else "-" for letter in stem)[:100]
    kept = kept.strip(" -") or "voice"
    plain = normalize("NFKD", kept).encode("ascii", "ignore").decode().strip(" -") or "voice"
    in_full = quote(f"{kept}.{ending}", safe="")
    return f"attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{in_full}"
