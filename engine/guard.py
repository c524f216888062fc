"""Who may speak to the engine: requests of this machine's own studio, and nobody's web page.

Host must be loopback with our port (DNS rebinding), `Origin` and `Sec-Fetch-Site` mark a browser and are
refused, everything but HELLO needs the bearer token, and a body has a cap. Looks only at the raw scope:
`request.url` can be forged through Host. Does not know what the routes do.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

from engine.contract.failures import Failure
from engine.contract.routes import HELLO

MAX_BODY_BYTES = 30_000_000

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """A request that is answered here, with this status."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status, self.sentence = status, sentence
        super().__init__(sentence)


def prove(token: str, nonce: str) -> str:
    """What only someone who has the token can answer to a nonce."""
    return hmac.new(token.encode(), nonce.encode(), sha256).hexdigest()


class Guard:
    """ASGI middleware; `port` is known only once the socket is bound."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None
        try:
            self._check(scope)
            body = await _read_body(scope, receive)
        except RefusedError as refused:
            return await _answer(send, refused)
        return await self._app(scope, _replay(body, receive), send)

    def _check(self, scope: Message) -> None:
        headers = scope["headers"]
        if _values(headers, b"host") not in [[host] for host in self._hosts]:
            raise RefusedError(403, "This address is not served here.")
        if _values(headers, b"origin") or _values(headers, b"sec-fetch-site"):
            raise RefusedError(403, "Web pages may not speak to the engine.")
        if scope["path"] != HELLO and not self._has_token(headers):
            raise RefusedError(401, "The studio could not prove that it belongs to this workspace.")

    def _has_token(self, headers: list[tuple[bytes, bytes]]) -> bool:
        values = _values(headers, b"authorization")
        return len(values) == 1 and hmac.compare_digest(values[0], self._expected)


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


async def _read_body(scope: Message, receive: Receive) -> bytes:
    """The whole body; a length that is promised or reached beyond the cap is refused."""
    promised = _values(scope["headers"], b"content-length")
    if any(not value.isdigit() or int(value) > MAX_BODY_BYTES for value in promised):
        raise RefusedError(413, "This is more than 30 MB, which is more than can be taken at once.")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise RefusedError(413, "This is more than 30 MB, which is more than can be taken at once.")
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


async def _answer(send: Send, refused: RefusedError) -> None:
    failure = Failure(code="bad_request", what_happened=refused.sentence)
    body = json.dumps({"failure": failure.model_dump()}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What was not read of the body must not be taken for the next request.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
