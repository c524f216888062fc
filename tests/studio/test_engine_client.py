"""The client talks to its own engine only, and every trouble is one failure with a sentence."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from engine.contract.brand import Brand, BrandRules, Fact
from engine.contract.failures import EngineFailure
from engine.contract.records import AnswerRequest, Example, ManyAnswersRequest, Question, Reading, Turn
from studio.engine_client import EngineClient, connect
from studio.handshake import prove

TOKEN = "a-token-of-the-test"
RUN_ID = "0" * 32


class Recorder(BaseHTTPRequestHandler):
    """A server on loopback that answers /hello with `proof_token` and records every header it is sent."""

    proof_token: ClassVar[str] = TOKEN
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        if self.path.startswith("/hello"):
            nonce = self.path.split("nonce=")[1]
            body = {"proof": prove(self.proof_token, nonce), "version": "1", "pid": 1}
        else:
            body = []  # type: ignore[assignment]
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Recorder.seen.clear()
    Recorder.proof_token = TOKEN
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def publish(workspace: Path, port: int, token: str = TOKEN) -> None:
    (workspace / "engine.json").write_text(json.dumps({"port": port, "token": token, "pid": 1}))


def test_the_token_is_sent_only_after_the_engine_has_proved_itself(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    publish(tmp_path, server.server_port)
    assert connect(tmp_path).projects() == []
    hello, projects = Recorder.seen
    assert "Authorization" not in hello[1]
    assert projects[1]["Authorization"] == f"Bearer {TOKEN}"


def test_an_impostor_on_the_published_port_never_sees_the_token(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    Recorder.proof_token = "what the impostor believes"
    publish(tmp_path, server.server_port)
    with pytest.raises(EngineFailure) as caught:
        connect(tmp_path).projects()
    assert caught.value.failure.code == "engine_unreachable"
    assert all(TOKEN not in value for _, headers in Recorder.seen for value in headers.values())


def test_an_engine_that_restarted_on_another_port_is_found_again(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    client = connect(tmp_path)
    publish(tmp_path, 1)
    with pytest.raises(EngineFailure):
        client.projects()
    publish(tmp_path, server.server_port)
    assert client.projects() == []


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"port": "x", "token": 1}'])
def test_without_a_usable_address_the_failure_says_that_nothing_is_lost(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "engine.json").write_text(content)
    with pytest.raises(EngineFailure) as caught:
        connect(tmp_path).machine()
    assert caught.value.failure.code == "engine_unreachable"
    assert "safe" in caught.value.failure.what_you_have


def client_answering(handler: httpx.MockTransport) -> EngineClient:
    return EngineClient(httpx.Client(base_url="http://engine", transport=handler))


def test_a_failure_of_the_engine_arrives_word_for_word() -> None:
    failure = {"code": "conflict", "what_happened": "A.", "what_you_have": "B.", "what_to_do": "C."}
    client = client_answering(httpx.MockTransport(lambda _: httpx.Response(409, json={"failure": failure})))
    with pytest.raises(EngineFailure) as caught:
        client.run(RUN_ID)
    assert caught.value.failure.model_dump() == failure


def test_a_senseless_error_page_becomes_a_sentence_and_not_a_stack_trace() -> None:
    client = client_answering(httpx.MockTransport(lambda _: httpx.Response(500, text="<html>boom</html>")))
    with pytest.raises(EngineFailure) as caught:
        client.runs(RUN_ID)
    assert caught.value.failure.code == "unexpected"


def test_a_brand_and_an_example_travel_as_they_are() -> None:
    brand = Brand(rules=BrandRules(words_we_never_use=("cheap",)), facts=(Fact(name="Café", value="€4,50"),))
    example = Example(prompt="And warm?", completion="As toast.", turns=[Turn(role="user", text="Dry?")])
    reading = Reading(pieces=[], tokens=0, learnt_tokens=0, window_tokens=512)
    seen: list[tuple[str, str, object]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        seen.append((request.method, request.url.path, body))
        told = reading if request.url.path.endswith("/reading") else brand
        return httpx.Response(200, json=told.model_dump(mode="json"))

    client = client_answering(httpx.MockTransport(handle))
    assert client.brand(RUN_ID) == client.save_brand(RUN_ID, brand) == brand
    assert client.reading("acme", example) == reading
    assert seen == [
        ("GET", f"/projects/{RUN_ID}/brand", None),
        ("PUT", f"/projects/{RUN_ID}/brand", brand.model_dump(mode="json")),
        ("POST", "/models/acme/reading", {"example": example.model_dump(mode="json")}),
    ]


def test_streamed_answers_come_as_events_and_pings_as_empty_ones() -> None:
    body = 'data: {"side": "base", "text": "Hi"}\n\n: ping\n\ndata: {"side": "base", "done": true}\n\n'
    client = client_answering(httpx.MockTransport(lambda _: httpx.Response(200, text=body)))
    with client.stream_answers(AnswerRequest(run_id=RUN_ID, prompt="Say hi")) as events:
        seen = list(events)
    assert [(event.side, event.text, event.done) for event in seen] == [
        ("base", "Hi", False),
        (None, "", False),
        ("base", "", True),
    ]


def test_many_questions_travel_in_one_request() -> None:
    asked: list[tuple[str, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, len(json.loads(request.content)["questions"])))
        return httpx.Response(200, text='data: {"side": "base", "question": 1, "done": true}\n\n')

    questions = [Question(prompt="Say hi", sides=["base"]), Question(prompt="Say ho", sides=["base"])]
    client = client_answering(httpx.MockTransport(answer))
    with client.stream_many_answers(ManyAnswersRequest(run_id=RUN_ID, questions=questions)) as events:
        assert [event.question for event in events] == [1]
    assert asked == [("/answers/many", 2)]
