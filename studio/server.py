"""The studio as a web server: Streamlit's `st.App` behind a guard, and the download route.

The guard answers only to this machine's own addresses (against DNS rebinding), refuses what another web
page sends, and forbids the browser to load or send anything elsewhere. Knows nothing of the pages.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.contract.failures import HTTP_STATUS, EngineFailure
from studio.engine_client import EngineClient, connect
from studio.handshake import prove
from studio.upload_limit import MODEL_MEGABYTES, UploadLimit

LOOPBACK = "127.0.0.1"
OWN_NAMES = {"127.0.0.1", "localhost"}
HELLO = "/studio-hello"
CHUNK_BYTES = 1 << 20

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "style-src 'self' 'unsafe-inline'",
        "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]

STREAMLIT_OPTIONS = {
    "server.address": LOOPBACK,
    "server.headless": True,
    "server.showEmailPrompt": False,
    "server.maxUploadSize": MODEL_MEGABYTES,
    "server.maxMessageSize": 50,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
}
"""Said here although `.streamlit/config.toml` says most of it too: a flag outranks every file, also one in
the person's home folder."""


class Guard:
    """ASGI middleware: own host names only, own origin only, and the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif not is_own_request(scope):
            await refuse(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))


def is_own_request(scope: Scope) -> bool:
    """True if the Host is a name of this machine and the Origin, where one is sent, is that same host.

    A WebSocket must carry an Origin: every browser sends one, and other programs have no business there.
    """
    values: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = values.get(b"host", ""), values.get(b"origin")
    if host.rsplit(":", 1)[0] not in OWN_NAMES:
        return False
    if origin is None:
        return bool(scope["type"] == "http")
    return origin == f"http://{host}"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse("This address answers only to the studio's own page.", status_code=403)
    await answer(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return send_with_headers


def stream_download(client: EngineClient, run_id: str) -> Response:
    """The engine's zip handed on chunk by chunk; it is never whole in this process's memory."""
    opened = client.stream_download(run_id)
    try:
        response = opened.__enter__()
    except EngineFailure as error:
        return PlainTextResponse(error.failure.sentence, status_code=HTTP_STATUS[error.failure.code])

    def read_chunks() -> Iterator[bytes]:
        try:
            yield from response.iter_bytes(CHUNK_BYTES)
        finally:
            opened.__exit__(None, None, None)

    kept = {
        name: response.headers[name]
        for name in ("content-disposition", "content-length", "content-type")
        if name in response.headers
    }
    return StreamingResponse(read_chunks(), headers=kept)


def build_app(workspace: Path, secret: str) -> ASGIApp:
    """The ASGI app. `secret` proves to a second `voicewright` that this studio serves the same workspace."""
    import streamlit as st  # takes a second, in which the engine starts beside us
    from streamlit.web import bootstrap

    os.environ["VOICEWRIGHT_WORKSPACE"] = str(workspace)
    client = connect(workspace)

    async def download(request: Request) -> Response:
        return await run_in_threadpool(stream_download, client, request.path_params["run_id"])

    async def hello(request: Request) -> Response:
        return JSONResponse({"proof": prove(secret, request.query_params.get("nonce", ""))})

    app = st.App(
        Path(__file__).parent / "app.py",
        routes=[Route("/download/{run_id}", download), Route(HELLO, hello)],
        middleware=[Middleware(Guard), Middleware(UploadLimit)],
    )
    bootstrap.load_config_options(STREAMLIT_OPTIONS)
    return app


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; OSError if the port is taken. 0 takes any free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; open pages are given two seconds to say goodbye."""
    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=2, ws_max_size=32 << 20
    )
    uvicorn.Server(config).run(sockets=[listener])
