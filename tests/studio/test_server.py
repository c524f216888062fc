"""The studio answers its own page and nobody else, and lets the browser fetch nothing from elsewhere."""

import socket
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.contract.failures import EngineFailure
from studio import server
from studio.engine_client import EngineClient

HOST = "127.0.0.1:8501"


async def page(_request: object) -> PlainTextResponse:
    return PlainTextResponse("the page")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[Route("/", page, methods=["GET", "POST"]), WebSocketRoute("/ws", talk)],
        middleware=[Middleware(server.Guard)],
    )
    return TestClient(app, base_url=f"http://{HOST}")


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "127.0.0.1"])
def test_this_machines_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).text == "the page"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8501", "192.168.0.7:8501", ""])
def test_a_name_that_was_rebound_to_this_machine_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", f"https://{HOST}"]
)
def test_another_web_page_can_neither_post_nor_open_a_socket(client: TestClient, origin: str) -> None:
    assert client.post("/", headers={"Origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/ws", headers={"Origin": origin, "Host": HOST}),
    ):
        pass


def test_a_socket_without_an_origin_is_refused_and_the_own_page_gets_one(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers={"Host": HOST}):
        pass
    with client.websocket_connect("/ws", headers={"Origin": f"http://{HOST}", "Host": HOST}) as socket_:
        assert socket_.receive_text() == "hello"


def test_the_browser_is_told_to_load_and_send_nothing_elsewhere(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


def test_a_download_is_streamed_with_its_name(tmp_path: Path) -> None:
    def engine(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=b"zip" * 1000, headers={"Content-Disposition": 'attachment; filename="v.zip"'}
        )

    async def download(_request: object) -> object:
        client = EngineClient(httpx.Client(base_url="http://engine", transport=httpx.MockTransport(engine)))
        return server.stream_download(client, "0" * 32)

    answer = TestClient(Starlette(routes=[Route("/d", download)])).get("/d")
    assert answer.content == b"zip" * 1000
    assert answer.headers["content-disposition"] == 'attachment; filename="v.zip"'


def test_a_download_that_is_not_ready_says_so_in_words() -> None:
    failure = EngineFailure("conflict", "The download is still being checked.").failure.model_dump()

    def engine(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"failure": failure})

    client = EngineClient(httpx.Client(base_url="http://engine", transport=httpx.MockTransport(engine)))
    answer = server.stream_download(client, "0" * 32)
    assert answer.status_code == 409
    assert bytes(answer.body).decode() == "The download is still being checked."


def test_a_taken_port_is_an_error_and_not_another_port() -> None:
    with server.bind(0) as first, pytest.raises(OSError):
        server.bind(first.getsockname()[1])


def test_the_studio_listens_on_loopback_only() -> None:
    with server.bind(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET
