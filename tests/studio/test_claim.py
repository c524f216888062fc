"""Two studios on one folder: the second finds the first, and a crash leaves nothing in the way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from engine.contract.failures import EngineFailure
from studio import claim as claims
from studio.claim import Claim
from studio.handshake import prove


@pytest.fixture
def studio_with() -> Iterator[dict[str, str]]:
    """A page on loopback that proves the secret put into the dict; its address is under "url"."""
    known: dict[str, str] = {"secret": "?"}

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonce = parse_qs(urlsplit(self.path).query)["nonce"][0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"proof": prove(known["secret"], nonce)}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = Thread(target=server.serve_forever)
    thread.start()
    known["url"] = f"http://127.0.0.1:{server.server_port}"
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_second_studio_is_told_where_the_first_one_is(
    tmp_path: Path, studio_with: dict[str, str]
) -> None:
    first = Claim(tmp_path)
    assert first.take() is None
    studio_with["secret"] = first.secret
    first.publish(studio_with["url"])
    assert Claim(tmp_path).take() == studio_with["url"]


def test_a_stranger_on_the_published_address_is_not_believed(
    tmp_path: Path, studio_with: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STARTING_SECONDS", 0.3)
    first = Claim(tmp_path)
    first.take()
    first.publish(studio_with["url"])
    with pytest.raises(EngineFailure) as caught:
        Claim(tmp_path).take()
    assert caught.value.failure.code == "workspace_unusable"


def test_a_crashed_studio_does_not_stand_in_the_way(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    (tmp_path / "studio.json").write_text(
        json.dumps({"pid": int(dead.stdout), "started": 1.0, "secret": "x"})
    )
    assert Claim(tmp_path).take() is None


def test_a_recycled_process_id_is_not_taken_for_the_studio(tmp_path: Path) -> None:
    old = {"pid": os.getpid(), "started": psutil.Process().create_time() - 3600, "secret": "x"}
    (tmp_path / "studio.json").write_text(json.dumps(old))
    assert Claim(tmp_path).take() is None


@pytest.mark.parametrize("content", ["", "[]", "not json", '{"pid": "x"}'])
def test_a_torn_claim_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "studio.json").write_text(content)
    assert Claim(tmp_path).take() is None


def test_of_many_that_start_at_once_exactly_one_serves(tmp_path: Path, studio_with: dict[str, str]) -> None:
    def start(_number: int) -> str | None:
        claim = Claim(tmp_path)
        running = claim.take()
        if running is None:
            studio_with["secret"] = claim.secret
            claim.publish(studio_with["url"])
        return running

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(start, range(8)))
    assert sorted(answers, key=str) == sorted([None] + [studio_with["url"]] * 7, key=str)


def test_the_address_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    Claim(tmp_path).take()
    assert (tmp_path / "studio.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(EngineFailure) as caught:
        Claim(tmp_path / "taken").take()
    assert "--workspace" in caught.value.failure.what_to_do
