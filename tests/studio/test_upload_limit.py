"""A tab cannot fill the memory with files that come one after another; other tabs are not in its way."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from studio.upload_limit import UploadLimit


async def take(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def client() -> TestClient:
    return TestClient(
        Starlette(
            routes=[Route("/_stcore/upload_file/{tab}/{file}", take, methods=["PUT", "DELETE"])],
            middleware=[Middleware(UploadLimit, most_files=3, most_bytes=1_000)],
        )
    )


def test_a_file_after_the_last_one_allowed_is_refused_with_a_way_out(client: TestClient) -> None:
    answers = [client.put(f"/_stcore/upload_file/tab/{number}", content=b"x") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Reload" in answers[-1].text
    assert client.put("/_stcore/upload_file/other/1", content=b"x").status_code == 200
    assert client.delete("/_stcore/upload_file/tab/1").status_code == 200


def test_bytes_are_counted_as_they_come_whatever_was_declared(client: TestClient) -> None:
    pieces = (b"x" * 300 for _ in range(4))
    assert client.put("/_stcore/upload_file/tab/1", content=pieces).text == "1200"
    assert client.put("/_stcore/upload_file/tab/2", content=b"x").status_code == 429
