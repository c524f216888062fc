"""The API as a stranger might try it, and as the studio uses it, on a living engine."""

import hmac
import json
import socket
import zipfile
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx
import pytest

from engine.contract.brand import Brand, BrandRules, Fact
from engine.contract.records import (
    MAX_EXAMPLES,
    Dataset,
    Estimate,
    Example,
    Machine,
    Metrics,
    Project,
    Reading,
    Run,
    Settings,
    TokenCounts,
    Turn,
)
from engine.guard import MAX_BODY_BYTES
from engine.responses import attachment


@pytest.fixture(scope="module")
def engine(finished_run: tuple[Any, str]) -> Any:
    return finished_run[0]


@pytest.fixture(scope="module")
def run_id(finished_run: tuple[Any, str]) -> str:
    return finished_run[1]


def send(engine: Any, method: str = "GET", path: str = "/projects", **request: Any) -> httpx.Response:
    """Exactly these headers, besides what HTTP needs."""
    with httpx.Client(base_url=f"http://127.0.0.1:{engine.address['port']}", timeout=30) as client:
        return client.request(method, path, **request)


def bearer(engine: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.address['token']}"}


# --- who may speak --------------------------------------------------------------------------------------


def test_the_engine_proves_itself_before_it_is_told_the_token(engine: Any) -> None:
    nonce = "0123456789abcdef" * 2
    answer = send(engine, path="/hello", params={"nonce": nonce}).json()
    token = engine.address["token"]
    assert answer["proof"] == hmac.new(token.encode(), nonce.encode(), sha256).hexdigest()
    assert answer["pid"] == engine.process.pid
    assert send(engine, path="/hello", params={"nonce": "not hex"}).status_code == 422


def test_the_address_file_is_private_and_the_token_is_long(engine: Any) -> None:
    assert engine.workspace.engine_address.stat().st_mode & 0o777 == 0o600
    assert len(engine.address["token"]) >= 32


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_without_the_token_nothing_is_told(engine: Any, headers: dict[str, str]) -> None:
    for path in ("/projects", "/openapi.json", "/nowhere", "//hello", "/hello/"):
        answer = send(engine, path=path, headers=headers)
        assert (answer.status_code, path) == (401, path)
        assert answer.json()["failure"]["code"] == "bad_request"


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://localhost:8501"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:80"},
    ],
)
def test_a_web_page_is_refused_even_with_the_token(engine: Any, header: dict[str, str]) -> None:
    assert send(engine, headers={**bearer(engine), **header}).status_code == 403


def test_localhost_is_as_good_as_its_number(engine: Any) -> None:
    host = {"Host": f"localhost:{engine.address['port']}"}
    assert send(engine, headers={**bearer(engine), **host}).status_code == 200


def begin_body(engine: Any, header: str, piece: bytes = b"", times: int = 0) -> bytes:
    """Send a head and so many pieces of a body that never ends; what the engine says to it."""
    head = f"POST /projects HTTP/1.1\r\nHost: 127.0.0.1:{engine.address['port']}\r\n"
    head += f"Authorization: {bearer(engine)['Authorization']}\r\n{header}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", engine.address["port"]), timeout=10) as connection:
        connection.sendall(head.encode())
        with suppress(ConnectionError):
            for _ in range(times):
                connection.sendall(piece)
        try:
            return connection.recv(1000)
        except ConnectionError:
            return b""


def test_too_much_is_refused_whether_its_length_is_told_or_not(engine: Any) -> None:
    for length in (str(MAX_BODY_BYTES + 1), "-1", "1e3"):
        status = begin_body(engine, f"Content-Length: {length}").split(b" ")[1]
        assert status in (b"413", b"400")
    megabyte = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    answer = begin_body(engine, "Transfer-Encoding: chunked", megabyte, MAX_BODY_BYTES // 0x100000 + 2)
    assert answer == b"" or b" 413 " in answer
    assert send(engine, headers=bearer(engine)).status_code == 200


# --- what is not understood -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": "x", "color": "red"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"name": "x" * 121}).encode(),
    ],
)
def test_nonsense_gets_a_sentence_and_no_innards(engine: Any, content: bytes) -> None:
    headers = {**bearer(engine), "Content-Type": "application/json"}
    answer = send(engine, "POST", "/projects", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    failure = answer.json()["failure"]
    assert failure["code"] == "bad_request"
    assert failure["what_happened"].startswith("What was sent could not be understood")
    assert "Traceback" not in answer.text
    assert "pydantic" not in answer.text


def test_addresses_that_do_not_exist_are_not_found(engine: Any) -> None:
    for path in (
        "/nowhere",
        f"/projects/{'0' * 32}",
        f"/runs/{'0' * 32}/metrics",
        f"/datasets/{'0' * 32}/examples",
    ):
        assert engine.ask("GET", path, status=404)["failure"]["code"] == "not_found"
    for path in ("/projects/..%2f..%2fetc", "/projects/ABC", "/runs/%00"):
        assert engine.ask("GET", path, status=422 if "%2f" not in path else 404)


# --- projects and examples ------------------------------------------------------------------------------


def test_a_project_is_made_renamed_and_removed(engine: Any) -> None:
    made = Project.model_validate(engine.ask("POST", "/projects", {"name": "Łódź/../ \u202e"}))
    assert Project.model_validate(engine.ask("GET", f"/projects/{made.id}")) == made
    engine.ask("PATCH", f"/projects/{made.id}", {"name": "New name"})
    assert engine.ask("GET", f"/projects/{made.id}")["name"] == "New name"
    engine.ask("DELETE", f"/projects/{made.id}", status=204)
    engine.ask("DELETE", f"/projects/{made.id}", status=404)
    assert made.id not in {project["id"] for project in engine.ask("GET", "/projects")}


def test_a_brand_is_kept_with_its_project_and_nonsense_is_not(engine: Any) -> None:
    path = f"/projects/{engine.ask('POST', '/projects', {'name': 'Brand'})['id']}/brand"
    assert Brand.model_validate(engine.ask("GET", path)) == Brand()
    brand = Brand(rules=BrandRules(spelling="british"), facts=(Fact(name="Tel", value="020 7946 0000"),))
    assert Brand.model_validate(engine.ask("PUT", path, brand.model_dump(mode="json"))) == brand
    engine.ask("PUT", path, {"rules": {"spelling": "klingon"}}, status=422)
    assert Brand.model_validate(engine.ask("GET", path)) == brand
    engine.ask("GET", f"/projects/{'0' * 32}/brand", status=404)
    engine.ask("PUT", f"/projects/{'0' * 32}/brand", {}, status=404)


def test_examples_come_back_as_they_were_and_the_same_again_make_no_new_version(
    engine: Any, examples: list[Example]
) -> None:
    odd = examples[0].model_copy(
        update={"completion": "a\u2028b\u0000c \U0001f469\u200d\U0001f680 e\u0301 =cmd|x\r\n"}
    )
    rows = [odd, *examples[1:]]
    project = engine.ask("POST", "/projects", {"name": "Odd"})["id"]
    body = {
        "source_name": "voice.csv",
        "columns": {"prompt": None, "completion": "Text"},
        "examples": [example.model_dump() for example in rows],
    }
    first = Dataset.model_validate(engine.ask("POST", f"/projects/{project}/datasets", body))
    assert (first.version, first.examples_train, first.examples_validation) == (1, 8, 2)
    assert engine.ask("POST", f"/projects/{project}/datasets", body)["id"] == first.id
    got = engine.ask("GET", f"/datasets/{first.id}/examples")
    assert [Example.model_validate(row) for row in got] == rows

    body["examples"] = body["examples"][::-1]
    assert engine.ask("POST", f"/projects/{project}/datasets", body)["version"] == 2
    assert [found["version"] for found in engine.ask("GET", f"/projects/{project}/datasets")] == [2, 1]


def test_examples_mended_by_hand_are_the_next_version_and_the_first_can_be_gone_back_to(
    engine: Any, examples: list[Example]
) -> None:
    path = f"/projects/{engine.ask('POST', '/projects', {'name': 'Mended'})['id']}/datasets"
    columns = {"prompt": None, "completion": "Text", "template": "Write a {format} about {product}"}
    body: dict[str, Any] = {"source_name": "voice.csv", "columns": columns}
    rows = [example.model_dump() for example in examples]
    first = engine.ask("POST", path, {**body, "examples": rows})
    mended = [{**rows[0], "completion": "Ahoy! Mended."}, *rows[1:]]
    second = engine.ask("POST", path, {**body, "source_name": "edited by hand", "examples": mended})
    assert (second["version"], second["source_name"], second["columns"]) == (2, "edited by hand", columns)
    assert engine.ask("GET", path) == [second, first]
    assert [row["completion"] for row in engine.ask("GET", f"/datasets/{first['id']}/examples")] == [
        row["completion"] for row in rows
    ]
    assert engine.ask("PUT", f"/datasets/{first['id']}/in-use") == first
    assert engine.ask("GET", path) == [first, second]
    assert engine.ask("POST", path, {**body, "examples": mended})["id"] == second["id"]
    assert engine.ask("GET", path) == [second, first]
    engine.ask("PUT", f"/datasets/{'0' * 32}/in-use", status=404)


def test_an_upload_that_breaks_off_leaves_no_examples(engine: Any, examples: list[Example]) -> None:
    path = f"/projects/{engine.ask('POST', '/projects', {'name': 'Broken off'})['id']}/datasets"
    body = {
        "source_name": "v.csv",
        "columns": {"prompt": None, "completion": "Text"},
        "examples": [example.model_dump() for example in examples],
    }
    content = json.dumps(body).encode()
    files = set(engine.workspace.datasets.iterdir())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{engine.address['port']}\r\n"
    head += f"Authorization: {bearer(engine)['Authorization']}\r\nContent-Type: application/json\r\n"
    for length in (0, len(content) // 2, len(content) - 1):
        with socket.create_connection(("127.0.0.1", engine.address["port"]), timeout=10) as connection:
            connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:length])
    assert engine.ask("GET", path) == []
    assert set(engine.workspace.datasets.iterdir()) == files


def test_too_few_examples_and_none_held_out_are_refused(engine: Any, examples: list[Example]) -> None:
    project = engine.ask("POST", "/projects", {"name": "Few"})["id"]
    body: dict[str, Any] = {"source_name": "v.csv", "columns": {"prompt": None, "completion": "Text"}}
    all_train = [example.model_copy(update={"split": "train"}) for example in examples]
    for rows in (examples[1:], all_train):
        sent = {**body, "examples": [example.model_dump() for example in rows]}
        failure = engine.ask("POST", f"/projects/{project}/datasets", sent, status=422)["failure"]
        assert failure["code"] == "too_few_examples"
    assert engine.ask("GET", f"/projects/{project}/datasets") == []


def test_too_many_examples_are_called_so(engine: Any, examples: list[Example]) -> None:
    project = engine.ask("POST", "/projects", {"name": "Many"})["id"]
    rows = [examples[0].model_dump()] * (MAX_EXAMPLES + 1)
    body = {"source_name": "v.csv", "columns": {"prompt": None, "completion": "Text"}, "examples": rows}
    failure = engine.ask("POST", f"/projects/{project}/datasets", body, status=413)["failure"]
    assert failure["code"] == "too_many_examples"


# --- planning -------------------------------------------------------------------------------------------


def test_settings_are_kept(engine: Any) -> None:
    wanted = Settings(currency="$", electricity_price_per_kwh=0.2)
    engine.ask("PUT", "/settings", wanted.model_dump())
    assert Settings.model_validate(engine.ask("GET", "/settings")) == wanted


def test_the_machine_and_the_models_are_told(engine: Any) -> None:
    machine = Machine.model_validate(engine.ask("GET", "/machine"))
    assert machine.cores >= 1
    assert 0 < machine.memory_available_bytes <= machine.memory_bytes
    assert "tiny" in {model["name"] for model in engine.ask("GET", "/models")}


def test_tokens_are_counted_as_the_trainer_counts_them(engine: Any, examples: list[Example]) -> None:
    from engine.encoding import encode_example, encode_prompt
    from engine.models.catalog import find_model
    from engine.models.load import load_tokenizer

    earlier = [Turn(role="user", text="Ahoy?"), Turn(role="assistant", text="Ahoy!")]
    examples = [*examples, examples[0].model_copy(update={"turns": earlier})]
    sent = [example.model_dump() for example in examples]
    counts = TokenCounts.model_validate(engine.ask("POST", "/models/tiny/token-counts", sent))
    folder = find_model(engine.workspace, "tiny")
    assert folder is not None
    tokenizer = load_tokenizer(folder)
    for example, prompt, completion in zip(
        examples, counts.prompt_tokens, counts.completion_tokens, strict=True
    ):
        assert prompt == len(encode_prompt(tokenizer, example.prompt, 10_000, example.turns))
        encoded = encode_example(tokenizer, example.prompt, example.completion, 10_000, example.turns)
        assert completion == encoded.learnt_tokens
    assert counts.turn_tokens == [0] * 10 + [counts.prompt_tokens[10] - counts.prompt_tokens[0]]
    assert counts.window_tokens == 256
    engine.ask("POST", "/models/nobody/token-counts", sent, status=404)


def test_what_the_model_reads_is_told_piece_by_piece(engine: Any) -> None:
    sent = {"example": {"prompt": "Hi", "completion": "Ahoy!"}}
    reading = Reading.model_validate(engine.ask("POST", "/models/tiny/reading", sent))
    assert "".join(piece.text for piece in reading.pieces) == "<|begin|><|user|>Hi<|assistant|>Ahoy!<|end|>"
    assert "".join(piece.text for piece in reading.pieces if piece.learnt) == "Ahoy!<|end|>"
    assert (reading.tokens, reading.learnt_tokens, reading.window_tokens) == (11, 6, 256)
    engine.ask("POST", "/models/nobody/reading", sent, status=404)
    engine.ask("POST", "/models/tiny/reading", {"example": {"prompt": "Hi", "completion": ""}}, status=422)


def test_every_method_is_estimated_before_it_is_chosen(engine: Any, run_id: str) -> None:
    methods = ("last-layers", "all-layers", "p-tuning", "lora")
    request = {
        "dataset_id": engine.run(run_id)["dataset_id"],
        "recipes": [{"base_model": "tiny", "method": method} for method in methods],
    }
    estimates = [Estimate.model_validate(found) for found in engine.ask("POST", "/estimates", request)]
    assert [estimate.method for estimate in estimates] == list(methods)
    assert all(
        low <= estimate.seconds <= high for estimate in estimates for low, high in [estimate.seconds_range]
    )
    engine.ask("POST", "/estimates", {"recipes": [{"base_model": "tiny", "method": "lora"}]}, status=422)


# --- a finished run -------------------------------------------------------------------------------------


def test_a_finished_run_tells_what_it_learnt_and_draws_its_whole_curve(engine: Any, run_id: str) -> None:
    run = Run.model_validate(engine.run(run_id))
    assert (run.state, run.number, run.attempt, run.stopped_because) == ("succeeded", 1, 1, "finished")
    assert run.estimate is not None
    assert run.recipe.epochs == 3
    assert run.recipe.learning_rate is not None
    assert run.step == run.steps > 0
    assert run.seconds is not None
    assert run.peak_memory_bytes is not None
    metrics = Metrics.model_validate(engine.ask("GET", f"/runs/{run_id}/metrics"))
    assert [point.step for point in metrics.points if point.train_loss] == list(range(1, run.steps + 1))
    assert metrics.points[0].validation_loss == run.validation_loss_base
    listed = engine.ask("GET", f"/projects/{run.project_id}/runs")
    assert listed[-1]["id"] == run_id


def test_the_download_is_built_checked_and_built_again_if_it_vanishes(engine: Any, run_id: str) -> None:
    if engine.run(run_id)["export"]["state"] != "ready":
        assert engine.ask("GET", f"/runs/{run_id}/download", status=409)["failure"]["code"] == "conflict"
    run = engine.wait(run_id, lambda run: run["export"]["state"] in ("ready", "failed"), seconds=120)
    assert run["export"]["failure"] is None
    assert engine.ask("POST", f"/runs/{run_id}/export")["state"] == "ready"
    with engine.client as client:
        answer = client.get(f"/runs/{run_id}/download")
    assert answer.headers["content-disposition"].startswith('attachment; filename="Ahoy 1.zip"')
    assert sha256(answer.content).hexdigest() == run["export"]["sha256"]
    assert zipfile.ZipFile(BytesIO(answer.content)).testzip() is None

    engine.workspace.run(run_id).download.unlink()
    assert engine.ask("POST", f"/runs/{run_id}/export")["state"] == "building"
    engine.ask("GET", f"/runs/{run_id}/download", status=409)


def test_the_download_is_the_adapter_alone_unless_the_base_is_asked_for(engine: Any, run_id: str) -> None:
    def names(with_base: bool) -> set[str]:
        export = engine.ask("POST", f"/runs/{run_id}/export", {"include_base": with_base})
        assert export["includes_base"] is with_base
        run = engine.wait(run_id, lambda run: run["export"]["state"] in ("ready", "failed"), seconds=120)
        assert run["export"]["failure"] is None
        assert run["export"]["includes_base"] is with_base
        with engine.client as client:
            answer = client.get(f"/runs/{run_id}/download")
        return {name.split("/")[0] for name in zipfile.ZipFile(BytesIO(answer.content)).namelist()}

    alone = names(with_base=False)
    assert "adapter" in alone
    assert names(with_base=True) == alone | {"base"}


def test_what_the_download_shall_hold_can_be_said_while_the_run_goes_on(
    engine: Any, examples: list[Example]
) -> None:
    run_id = engine.new_run(engine.new_dataset(examples), epochs=100)
    engine.ask("POST", f"/runs/{run_id}/export", status=409)
    assert engine.ask("POST", f"/runs/{run_id}/export", {"include_base": True})["includes_base"]
    assert engine.run(run_id)["export"] == {
        **engine.run(run_id)["export"],
        "state": "none",
        "includes_base": True,
    }
    engine.want(run_id, "cancel")


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("Été/Shop 1.zip", "Ete-Shop 1.zip"),
        ("../../etc/passwd 1.zip", "etc-passwd 1.zip"),
        ('a"; x="\r\nSet-Cookie: y 1.zip', "a-- x----Set-Cookie- y 1.zip"),
        ("日本 1.zip", "1.zip"),
        ("x" * 300 + " 1.zip", "x" * 100 + ".zip"),
    ],
)
def test_a_label_never_becomes_more_than_a_file_name(label: str, plain: str) -> None:
    header = attachment(label)
    assert f'filename="{plain}"' in header
    assert header.isascii()
    assert header.isprintable()
