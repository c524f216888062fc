"""The only way to the engine: one client with a method per route, one error type.

`EngineTransport` finds the engine of a workspace through its `engine.json`, proves that the process on
that port knows the token before the token is ever sent, and finds it again after a restart. The client
above it knows nothing of ports: tests hand it an `httpx.MockTransport` instead.
"""

import json
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from engine.contract import records as r
from engine.contract import routes
from engine.contract.brand import Brand
from engine.contract.failures import EngineFailure, Failure
from studio.handshake import proves

CONNECT_SECONDS = 2.0
READ_SECONDS = 60.0
R = TypeVar("R", bound=BaseModel)


def unreachable() -> EngineFailure:
    return EngineFailure(
        "engine_unreachable",
        "The tuning engine is not answering at the moment.",
        "Your projects and runs are safe on this machine.",
        "It usually comes back by itself within seconds; if not, start Voicewright again.",
    )


class EngineTransport(httpx.BaseTransport):
    """Sends each request to the engine that serves `workspace` now."""

    def __init__(self, workspace: Path) -> None:
        self._address_file = workspace / "engine.json"
        # Plain HTTP on this machine: reading the world's certificates would take 25 ms of every connection.
        self._inner = httpx.HTTPTransport(verify=SSLContext(PROTOCOL_TLS_CLIENT))
        self._trusted: tuple[int, str] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            port, token = self._find_engine()
            request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
            request.headers["Host"] = f"127.0.0.1:{port}"
            request.headers["Authorization"] = f"Bearer {token}"
            return self._inner.handle_request(request)
        except httpx.TransportError as error:
            self._trusted = None
            raise unreachable() from error

    def close(self) -> None:
        self._inner.close()

    def _find_engine(self) -> tuple[int, str]:
        try:
            address = json.loads(self._address_file.read_bytes())
            published = (int(address["port"]), str(address["token"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unreachable() from error
        if published != self._trusted:
            self._challenge(*published)
            self._trusted = published
        return published

    def _challenge(self, port: int, token: str) -> None:
        nonce = secrets.token_hex(16)
        url = httpx.URL(f"http://127.0.0.1:{port}{routes.HELLO}", params={"nonce": nonce})
        timeout = httpx.Timeout(CONNECT_SECONDS).as_dict()
        response = self._inner.handle_request(httpx.Request("GET", url, extensions={"timeout": timeout}))
        try:
            hello = r.Hello.model_validate_json(response.read())
        except ValidationError as error:
            raise unreachable() from error
        finally:
            response.close()
        if not proves(hello.proof, token, nonce):
            raise unreachable()


def connect(workspace: Path) -> "EngineClient":
    """A client for the engine of `workspace`; makes no request yet."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    return EngineClient(
        httpx.Client(base_url="http://engine", transport=EngineTransport(workspace), timeout=timeout)
    )


class EngineClient:
    """Calls of the engine. Every method may raise `EngineFailure`; nothing else."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def machine(self) -> r.Machine:
        return self._one(r.Machine, "GET", routes.MACHINE)

    def settings(self) -> r.Settings:
        return self._one(r.Settings, "GET", routes.SETTINGS)

    def save_settings(self, settings: r.Settings) -> r.Settings:
        return self._one(r.Settings, "PUT", routes.SETTINGS, settings)

    def models(self) -> list[r.BaseModelInfo]:
        return self._many(r.BaseModelInfo, "GET", routes.MODELS)

    def add_model(self, model: r.NewModel) -> r.ModelAddition:
        """Begin to check a folder or GGUF file; `model_additions` tells how that goes on."""
        return self._one(r.ModelAddition, "POST", routes.MODELS, model)

    def model_additions(self) -> list[r.ModelAddition]:
        return self._many(r.ModelAddition, "GET", routes.MODEL_ADDITIONS)

    def remove_model(self, base_model: str) -> None:
        self._request("DELETE", _of_model(routes.MODEL, base_model))

    def found_models(self) -> list[r.FoundModel]:
        return self._many(r.FoundModel, "GET", routes.FOUND_MODELS)

    def folder(self, path: str | None = None) -> r.FolderListing:
        """The person's home folder, or one below it."""
        asked = f"?path={quote(path, safe='')}" if path else ""
        return self._one(r.FolderListing, "GET", f"{routes.FOLDERS}{asked}")

    def bundled_state(self) -> r.BundledModelState:
        return self._one(r.BundledModelState, "GET", routes.BUNDLED_STATE)

    def unpack_again(self) -> r.BundledModelState:
        return self._one(r.BundledModelState, "POST", routes.BUNDLED_STATE)

    def projects(self) -> list[r.Project]:
        return self._many(r.Project, "GET", routes.PROJECTS)

    def create_project(self, project: r.NewProject) -> r.Project:
        return self._one(r.Project, "POST", routes.PROJECTS, project)

    def project(self, project_id: str) -> r.Project:
        return self._one(r.Project, "GET", routes.PROJECT.format(project_id=project_id))

    def rename_project(self, project_id: str, project: r.NewProject) -> r.Project:
        return self._one(r.Project, "PATCH", routes.PROJECT.format(project_id=project_id), project)

    def delete_project(self, project_id: str) -> None:
        self._request("DELETE", routes.PROJECT.format(project_id=project_id))

    def brand(self, project_id: str) -> Brand:
        return self._one(Brand, "GET", routes.PROJECT_BRAND.format(project_id=project_id))

    def save_brand(self, project_id: str, brand: Brand) -> Brand:
        return self._one(Brand, "PUT", routes.PROJECT_BRAND.format(project_id=project_id), brand)

    def datasets(self, project_id: str) -> list[r.Dataset]:
        return self._many(r.Dataset, "GET", routes.PROJECT_DATASETS.format(project_id=project_id))

    def create_dataset(self, project_id: str, dataset: r.NewDataset) -> r.Dataset:
        return self._one(r.Dataset, "POST", routes.PROJECT_DATASETS.format(project_id=project_id), dataset)

    def dataset(self, dataset_id: str) -> r.Dataset:
        return self._one(r.Dataset, "GET", routes.DATASET.format(dataset_id=dataset_id))

    def use_dataset(self, dataset_id: str) -> r.Dataset:
        """Go back, or on, to a version: from now on the first of its project's `datasets`."""
        return self._one(r.Dataset, "PUT", routes.DATASET_IN_USE.format(dataset_id=dataset_id))

    def examples(self, dataset_id: str) -> list[r.Example]:
        return self._many(r.Example, "GET", routes.DATASET_EXAMPLES.format(dataset_id=dataset_id))

    def token_counts(self, base_model: str, examples: list[r.Example]) -> r.TokenCounts:
        return self._one(r.TokenCounts, "POST", _of_model(routes.TOKEN_COUNTS, base_model), examples)

    def reading(self, base_model: str, example: r.Example) -> r.Reading:
        body = r.ReadingRequest(example=example)
        return self._one(r.Reading, "POST", _of_model(routes.READING, base_model), body)

    def estimates(self, request: r.EstimateRequest) -> list[r.Estimate]:
        return self._many(r.Estimate, "POST", routes.ESTIMATES, request)

    def runs(self, project_id: str) -> list[r.Run]:
        return self._many(r.Run, "GET", routes.PROJECT_RUNS.format(project_id=project_id))

    def start_run(self, run: r.NewRun) -> r.Run:
        return self._one(r.Run, "POST", routes.RUNS, run)

    def run(self, run_id: str) -> r.Run:
        return self._one(r.Run, "GET", routes.RUN.format(run_id=run_id))

    def set_desired(self, run_id: str, desired: r.Desired) -> r.Run:
        return self._one(r.Run, "PUT", routes.RUN_DESIRED.format(run_id=run_id), {"desired": desired})

    def metrics(self, run_id: str) -> r.Metrics:
        return self._one(r.Metrics, "GET", routes.RUN_METRICS.format(run_id=run_id))

    def events(self, run_id: str) -> list[r.Event]:
        return self._many(r.Event, "GET", routes.RUN_EVENTS.format(run_id=run_id))

    def export(self, run_id: str) -> r.Export:
        return self._one(r.Export, "GET", routes.RUN_EXPORT.format(run_id=run_id))

    def start_export(self, run_id: str, include_base: bool | None = None) -> r.Export:
        """Have the download made: as chosen now (also for a run that has not ended), or as before."""
        choice = None if include_base is None else r.ExportChoice(include_base=include_base)
        return self._one(r.Export, "POST", routes.RUN_EXPORT.format(run_id=run_id), choice)

    def shutdown(self) -> None:
        self._request("POST", routes.SHUTDOWN)

    @contextmanager
    def stream_answers(self, request: r.AnswerRequest) -> Generator[Iterator[r.AnswerEvent]]:
        """Events of one request as they come; leaving the block cancels it. A ping is an empty event."""
        body = request.model_dump(mode="json")
        with self._stream("POST", routes.ANSWERS, json=body) as response:
            yield _read_events(response)

    @contextmanager
    def stream_many_answers(self, request: r.ManyAnswersRequest) -> Generator[Iterator[r.AnswerEvent]]:
        """The same for several questions at once; each event says to which it belongs."""
        body = request.model_dump(mode="json")
        with self._stream("POST", routes.MANY_ANSWERS, json=body) as response:
            yield _read_events(response)

    @contextmanager
    def stream_download(self, run_id: str) -> Generator[httpx.Response]:
        """The zip of a run as an open response: read it with `iter_bytes`."""
        with self._stream("GET", routes.RUN_DOWNLOAD.format(run_id=run_id)) as response:
            yield response

    @contextmanager
    def _stream(self, method: str, path: str, **options: Any) -> Generator[httpx.Response]:
        try:
            with self._http.stream(method, path, **options) as response:
                if response.is_error:
                    response.read()
                    raise _read_failure(response)
                yield response
        except httpx.TransportError as error:
            raise unreachable() from error

    def _request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        # Not by httpx: encoding 20,000 examples in Python holds up the page.
        content = None if body is None else to_json(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._http.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            raise unreachable() from error
        if response.is_error:
            raise _read_failure(response)
        return response

    def _one(self, record: type[R], method: str, path: str, body: Any = None) -> R:
        return record.model_validate_json(self._request(method, path, body).content)

    def _many(self, record: type[R], method: str, path: str, body: Any = None) -> list[R]:
        return TypeAdapter(list[record]).validate_json(  # type: ignore[valid-type]
            self._request(method, path, body).content
        )


def _of_model(route: str, base_model: str) -> str:
    """A model is called as its folder is, which may hold any letter."""
    return route.format(base_model=quote(base_model, safe=""))


def _read_failure(response: httpx.Response) -> EngineFailure:
    try:
        failure = Failure.model_validate(response.json()["failure"])
    except (ValueError, KeyError, TypeError):
        return EngineFailure(
            "unexpected",
            "The tuning engine gave an answer that makes no sense.",
            "Your projects are untouched.",
            "Try again; if it stays, restart Voicewright.",
        )
    return EngineFailure(failure.code, failure.what_happened, failure.what_you_have, failure.what_to_do)


def _read_events(response: httpx.Response) -> Iterator[r.AnswerEvent]:
    for line in response.iter_lines():
        if line.startswith("data:"):
            yield r.AnswerEvent.model_validate_json(line[5:])
        elif line.startswith(":"):
            yield r.AnswerEvent()
