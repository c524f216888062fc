"""An engine in memory behind `httpx.MockTransport`, so that pages are tested against the contract alone."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
import streamlit as st
from pydantic import BaseModel
from streamlit.testing.v1 import AppTest

from engine.contract import records as r
from engine.contract import routes
from engine.contract.brand import Brand
from engine.contract.failures import HTTP_STATUS, EngineFailure, FailureCode
from studio import engine_client
from studio.engine_client import EngineClient, unreachable

ENGLISH = "Product {} keeps you warm, dry and ready for the road."
ROOT = Path(__file__).resolve().parents[2]
SECONDS = {"last-layers": 70.0, "all-layers": 160.0, "p-tuning": 95.0, "lora": 110.0}
DOWNLOADS = {"last-layers": 6_300_000, "all-layers": 24_000_000, "p-tuning": 21_000, "lora": 700_000}


class PretendEngine:
    """Holds records and answers every route of the contract. `is_down` makes each request fail."""

    def __init__(self) -> None:
        self.is_down = False
        self.settings = r.Settings()
        self.projects: dict[str, r.Project] = {}
        self.brands: dict[str, Brand] = {}
        self.datasets: dict[str, r.Dataset] = {}
        self.examples: dict[str, list[r.Example]] = {}
        self.runs: dict[str, r.Run] = {}
        self.points: dict[str, list[r.Metric]] = {}
        self.keys: dict[str, str] = {}
        self.requests: list[r.AnswerRequest] = []
        self.answers = {"base": "The jacket is a jacket.", "tuned": "Made for the weather you did not plan."}
        self.refusals: dict[str, EngineFailure] = {}
        self.models: list[r.BaseModelInfo] = [BUNDLED]
        self.additions: list[r.ModelAddition] = []
        self.found: list[r.FoundModel] = []
        self.folders: dict[str, r.FolderListing] = {}
        self.estimate_requests: list[r.EstimateRequest] = []
        self.read_by: list[str] = []

    @property
    def client(self) -> EngineClient:
        return EngineClient(
            httpx.Client(base_url="http://engine", transport=httpx.MockTransport(self.handle))
        )

    def refuse(self, route: str, code: FailureCode, *sentences: str) -> None:
        """Let every request to that route fail in this way."""
        self.refusals[route] = EngineFailure(code, *sentences)

    def unreachable(self) -> EngineFailure:
        return unreachable()

    # --- the scene ------------------------------------------------------------------------------------

    def add_project(self, name: str = "Harbour & Oak") -> r.Project:
        project = r.Project(id=uuid.uuid4().hex, name=name, is_sample=False, created_at=1_790_000_000.0)
        self.projects[project.id] = project
        return project

    def add_dataset(self, project_id: str, count: int = 40, text: str = ENGLISH) -> r.Dataset:
        examples = [
            r.Example(
                prompt=f"Describe product {i} for our shop.",
                completion=text.format(i),
                row=i + 2,
                split="validation" if i % 10 == 0 else "train",
            )
            for i in range(count)
        ]
        return self._freeze(
            project_id,
            r.NewDataset(
                source_name="voice.csv",
                columns=r.Columns(prompt="Prompt", completion="Text"),
                examples=examples,
            ),
        )

    def add_run(self, dataset: r.Dataset, state: r.RunState = "succeeded", **changes: object) -> r.Run:
        recipe = r.Recipe(method="lora", epochs=3, learning_rate=1e-3, batch_size=8, rank=8)
        run = self._start(dataset, recipe)
        if state == "succeeded":
            changes = {
                "started_at": 1_790_000_010.0,
                "finished_at": 1_790_000_110.0,
                "step": 90,
                "seconds": 98.0,
                "peak_memory_bytes": 720_000_000,
                "validation_loss_base": 3.62,
                "validation_loss": 2.11,
                "best_step": 70,
                "stopped_because": "early_stopping",
                **changes,
            }
        elif state in r.ACTIVE_STATES:
            changes = {"started_at": 1_790_000_010.0, "step": 40, "seconds_left": 64.0, **changes}
        run = run.model_copy(update={"state": state, **changes})
        self.runs[run.id] = run
        self.points[run.id] = draw_points(run.step)
        return run

    def estimate(self, recipe: r.Recipe) -> r.Estimate:
        seconds = SECONDS[recipe.method] * (recipe.epochs or 3) / 3
        filled = recipe.model_copy(
            update={
                "epochs": recipe.epochs or 3,
                "learning_rate": recipe.learning_rate or 1e-3,
                "batch_size": recipe.batch_size or 8,
                "rank": recipe.rank or 8 if recipe.method == "lora" else None,
                "layers": recipe.layers or 2 if recipe.method == "last-layers" else None,
                "virtual_tokens": recipe.virtual_tokens or 20 if recipe.method == "p-tuning" else None,
            }
        )
        return r.Estimate(
            method=recipe.method,
            recipe=filled,
            steps=90,
            trainable_parameters=180_000,
            seconds=seconds,
            seconds_range=(seconds * 0.8, seconds * 1.3),
            peak_memory_bytes=740_000_000,
            memory_available_bytes=12_000_000_000,
            fits=True,
            download_bytes=DOWNLOADS[recipe.method],
            adapter_bytes=DOWNLOADS[recipe.method],
            download_with_base_bytes=DOWNLOADS[recipe.method]
            + (BUNDLED.bytes if recipe.method != "all-layers" else 0),
            energy_kwh_range=(0.001, 0.002),
            electricity_cost_range=(0.0003, 0.0006),
            rented_gpu_cost_range=(0.01, 0.02),
            currency=self.settings.currency,
            calibrated=True,
            basis="Measured on this machine a moment ago.",
        )

    def _freeze(self, project_id: str, new: r.NewDataset) -> r.Dataset:
        lines = "".join(example.model_dump_json() for example in new.examples)
        fingerprint = sha256(lines.encode()).hexdigest()
        versions = _of(self.datasets, project_id)
        for known in versions:
            if known.fingerprint == fingerprint:
                return self._use_dataset(None, known.id)
        held = sum(1 for item in new.examples if item.split == "validation")
        dataset = r.Dataset(
            id=uuid.uuid4().hex,
            project_id=project_id,
            version=len(versions) + 1,
            created_at=1_790_000_001.0 + len(versions),
            source_name=new.source_name,
            columns=new.columns,
            examples_train=len(new.examples) - held,
            examples_validation=held,
            fingerprint=fingerprint,
        )
        self.datasets[dataset.id] = dataset
        self.examples[dataset.id] = list(new.examples)
        return dataset

    def _start(self, dataset: r.Dataset, recipe: r.Recipe) -> r.Run:
        number = 1 + sum(1 for item in self.runs.values() if item.project_id == dataset.project_id)
        return r.Run(
            id=uuid.uuid4().hex,
            number=number,
            project_id=dataset.project_id,
            dataset_id=dataset.id,
            recipe=recipe,
            estimate=self.estimate(recipe),
            state="queued",
            desired="run",
            attempt=1,
            created_at=1_790_000_000.0 + number,
            started_at=None,
            finished_at=None,
            step=0,
            steps=90,
            seconds_left=None,
            seconds=None,
            peak_memory_bytes=None,
            validation_loss_base=None,
            validation_loss=None,
            best_step=None,
            stopped_because=None,
            failure=None,
            export=r.Export(),
        )

    # --- the wire -------------------------------------------------------------------------------------

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("nobody listens")
        try:
            return self._answer(request)
        except EngineFailure as error:
            return httpx.Response(
                HTTP_STATUS[error.failure.code], json={"failure": error.failure.model_dump(mode="json")}
            )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked = dict(request.url.params)
        for route, handler in self._routes().items():
            method, pattern = route.split(" ", 1)
            found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern), request.url.path)
            if method == request.method and found:
                if pattern in self.refusals:
                    raise self.refusals[pattern]
                return _respond(handler(body, **found.groupdict()))
        raise EngineFailure("not_found", f"No such address: {request.method} {request.url.path}.")

    def _routes(self) -> dict[str, Callable[..., object]]:
        return {
            f"GET {routes.MACHINE}": lambda _: r.Machine(
                device="cpu",
                device_title="this computer's processor",
                device_reason="no graphics card that can train was found",
                cores=8,
                memory_bytes=16_000_000_000,
                memory_available_bytes=12_000_000_000,
                disk_free_bytes=90_000_000_000,
                calibrated=True,
            ),
            f"GET {routes.SETTINGS}": lambda _: self.settings,
            f"PUT {routes.SETTINGS}": self._save_settings,
            f"GET {routes.MODELS}": lambda _: self.models,
            f"POST {routes.MODELS}": self._add_model,
            f"DELETE {routes.MODEL}": self._remove_model,
            f"GET {routes.MODEL_ADDITIONS}": lambda _: self.additions,
            f"GET {routes.FOUND_MODELS}": lambda _: self.found,
            f"GET {routes.FOLDERS}": lambda _: self.folders.get(self.asked.get("path", "~"), HOME),
            f"GET {routes.BUNDLED_STATE}": lambda _: r.BundledModelState(state="ready", share=1.0),
            f"POST {routes.BUNDLED_STATE}": self._unpack_again,
            f"GET {routes.PROJECTS}": lambda _: list(reversed(self.projects.values())),
            f"POST {routes.PROJECTS}": self._create_project,
            f"GET {routes.PROJECT}": lambda _, project_id: _find(self.projects, project_id),
            f"PATCH {routes.PROJECT}": self._rename,
            f"DELETE {routes.PROJECT}": self._delete,
            f"GET {routes.PROJECT_BRAND}": lambda _, project_id: self.brands.get(project_id, Brand()),
            f"PUT {routes.PROJECT_BRAND}": self._save_brand,
            f"GET {routes.PROJECT_DATASETS}": lambda _, project_id: _of(self.datasets, project_id),
            f"POST {routes.PROJECT_DATASETS}": lambda body, project_id: self._freeze(
                project_id, r.NewDataset.model_validate(body)
            ),
            f"GET {routes.PROJECT_RUNS}": lambda _, project_id: _of(self.runs, project_id),
            f"GET {routes.DATASET}": lambda _, dataset_id: _find(self.datasets, dataset_id),
            f"PUT {routes.DATASET_IN_USE}": self._use_dataset,
            f"GET {routes.DATASET_EXAMPLES}": lambda _, dataset_id: self.examples[dataset_id],
            f"POST {routes.TOKEN_COUNTS}": lambda body, base_model: r.TokenCounts(
                window_tokens=512,
                prompt_tokens=[len(item["prompt"]) // 4 + 4 for item in body],
                completion_tokens=[len(item["completion"]) // 4 + 1 for item in body],
            ),
            f"POST {routes.READING}": self._read,
            f"POST {routes.ESTIMATES}": self._estimate_all,
            f"POST {routes.RUNS}": self._start_run,
            f"GET {routes.RUN}": lambda _, run_id: _find(self.runs, run_id),
            f"PUT {routes.RUN_DESIRED}": self._desire,
            f"GET {routes.RUN_METRICS}": self._metrics,
            f"GET {routes.RUN_EVENTS}": lambda _, run_id: [],
            f"POST {routes.ANSWERS}": self._stream,
            f"GET {routes.RUN_EXPORT}": lambda _, run_id: _find(self.runs, run_id).export,
            f"POST {routes.RUN_EXPORT}": self._export,
        }

    def _add_model(self, body: object) -> r.ModelAddition:
        new = r.NewModel.model_validate(body)
        model = MULTILINGUAL.model_copy(update={"path": new.path, "title": new.name or Path(new.path).name})
        self.models.append(model)
        self.additions.insert(
            0, r.ModelAddition(id=uuid.uuid4().hex, path=new.path, state="added", model=model)
        )
        return self.additions[0]

    def _unpack_again(self, _: object) -> r.BundledModelState:
        self.models = [
            model.model_copy(update={"problem": "", "can_try_again": False}) if model.can_try_again else model
            for model in self.models
        ]
        return r.BundledModelState(state="ready", share=1.0)

    def _remove_model(self, _: object, base_model: str) -> None:
        self.models = [model for model in self.models if model.name != unquote(base_model)]

    def _read(self, body: object, base_model: str) -> r.Reading:
        self.read_by.append(base_model)
        return read_example(r.ReadingRequest.model_validate(body).example)

    def _estimate_all(self, body: object) -> list[r.Estimate]:
        request = r.EstimateRequest.model_validate(body)
        self.estimate_requests.append(request)
        return [self.estimate(recipe) for recipe in request.recipes]

    def _save_settings(self, body: object) -> r.Settings:
        self.settings = r.Settings.model_validate(body)
        return self.settings

    def _create_project(self, body: object) -> r.Project:
        new = r.NewProject.model_validate(body)
        project = self.add_project(new.name)
        self.projects[project.id] = project.model_copy(update={"is_sample": new.is_sample})
        return self.projects[project.id]

    def _rename(self, body: object, project_id: str) -> r.Project:
        name = r.NewProject.model_validate(body).name
        self.projects[project_id] = _find(self.projects, project_id).model_copy(update={"name": name})
        return self.projects[project_id]

    def _delete(self, _: object, project_id: str) -> None:
        del self.projects[project_id]
        self.brands.pop(project_id, None)

    def _use_dataset(self, _: object, dataset_id: str) -> r.Dataset:
        """The last of the table is the first of the list."""
        _find(self.datasets, dataset_id)
        self.datasets[dataset_id] = self.datasets.pop(dataset_id)
        return self.datasets[dataset_id]

    def _save_brand(self, body: object, project_id: str) -> Brand:
        _find(self.projects, project_id)
        self.brands[project_id] = Brand.model_validate(body)
        return self.brands[project_id]

    def _start_run(self, body: object) -> r.Run:
        new = r.NewRun.model_validate(body)
        if new.key not in self.keys:
            run = self._start(self.datasets[new.dataset_id], new.recipe)
            self.runs[run.id], self.keys[new.key] = run, run.id
        return self.runs[self.keys[new.key]]

    def _desire(self, body: dict[str, str], run_id: str) -> r.Run:
        self.runs[run_id] = self.runs[run_id].model_copy(update={"desired": body["desired"]})
        return self.runs[run_id]

    def _metrics(self, _: object, run_id: str) -> r.Metrics:
        run = _find(self.runs, run_id)
        return r.Metrics(
            run_id=run_id,
            state=run.state,
            step=run.step,
            steps=run.steps,
            seconds_left=run.seconds_left,
            points=self.points.get(run_id, []),
        )

    def _stream(self, body: object) -> httpx.Response:
        request = r.AnswerRequest.model_validate(body)
        self.requests.append(request)
        lines = [r.AnswerEvent(waiting=0)]
        for side in request.sides:
            words = self.answers[side].split(" ")
            lines += [r.AnswerEvent(side=side, text=word + " ") for word in words]
            lines.append(r.AnswerEvent(side=side, done=True, ended_by="end", tokens=len(words), seconds=0.4))
        text = "".join(f"data: {line.model_dump_json()}\n\n" for line in lines)
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

    def _export(self, body: object, run_id: str) -> r.Export:
        run = _find(self.runs, run_id)
        wanted = r.ExportChoice.model_validate(body).include_base if body else run.export.includes_base
        if run.export.state == "none" or wanted != run.export.includes_base:
            size = DOWNLOADS[run.recipe.method] + wanted * BUNDLED.bytes
            export = READY_EXPORT.model_copy(update={"includes_base": wanted, "bytes": size})
            self.runs[run_id] = run.model_copy(update={"export": export})
        return self.runs[run_id].export


BUNDLED = r.BaseModelInfo(
    name=r.BUNDLED_MODEL,
    title="SmolLM2 135M Instruct",
    parameters=134_515_008,
    layers=30,
    hidden_size=576,
    vocabulary=49152,
    window_tokens=8192,
    bytes=271_000_000,
    fingerprint="a" * 64,
    is_bundled=True,
    description="A small English model that comes with Voicewright.",
    licence="Apache-2.0",
    languages=("en",),
)
MULTILINGUAL = r.BaseModelInfo(
    name="Babel-0.5B",
    title="Babel-0.5B",
    parameters=494_000_000,
    layers=24,
    hidden_size=896,
    vocabulary=151_936,
    window_tokens=32_768,
    bytes=988_000_000,
    fingerprint="c" * 64,
    is_bundled=False,
    licence="mit",
    languages=("en", "de", "fr", "es", "zh"),
    quantised_from="Q4_K_M",
    path="/home/ann/models/Babel-0.5B.gguf",
    source="file",
    can_be_removed=True,
)
HOME = r.FolderListing(path="/home/ann", parent=None, folders=[], gguf_files=[], is_model=False)
READY_EXPORT = r.Export(
    state="ready",
    bytes=24_700_000,
    sha256="b" * 64,
    reference_prompt="Describe product 0 for our shop.",
    reference_answer="Product 0 keeps you warm.",
    checked_with="transformers 5.23.0, peft 0.21.2",
)


def draw_points(steps: int) -> list[r.Metric]:
    """A curve that falls and flattens, with a validation loss every ten steps."""
    return [
        r.Metric(
            attempt=1,
            step=step,
            epoch=step / 30,
            train_loss=2.0 + 1.7 * 0.96**step,
            validation_loss=2.1 + 1.5 * 0.95**step if step % 10 == 0 else None,
            seconds=step * 1.1,
        )
        for step in range(steps + 1)
    ]


def read_example(example: r.Example) -> r.Reading:
    """A word a token, roles in angle brackets, and a window of 512 tokens."""
    parts = [(f"<{turn.role}>", turn.text, False) for turn in example.turns]
    parts += [("<user>", example.prompt, False), ("<assistant>", example.completion, True)]
    pieces, tokens, learnt_tokens = [], 0, 0
    for markup, text, learnt in parts:
        room = max(511 - tokens, 0)
        words = re.findall(r"\s*\S+\s*", text)
        kept = words[:room]
        pieces.append(r.ReadingPiece(text=markup, learnt=False, is_markup=True, is_cut=room == 0))
        for some, is_cut in ((kept, False), (words[room:], True)):
            if some:
                pieces.append(
                    r.ReadingPiece(
                        text="".join(some), learnt=learnt and not is_cut, is_markup=False, is_cut=is_cut
                    )
                )
        tokens += min(room + 1, 1 + len(kept))
        learnt_tokens += len(kept) if learnt else 0
    return r.Reading(pieces=pieces, tokens=tokens, learnt_tokens=learnt_tokens, window_tokens=512)


def _find(table: dict[str, BaseModel], key: str) -> BaseModel:
    if key not in table:
        raise EngineFailure("not_found", "That is not here any more.")
    return table[key]


def _of(table: dict[str, BaseModel], project_id: str) -> list[BaseModel]:
    return [item for item in reversed(table.values()) if item.project_id == project_id]


def _respond(answer: object) -> httpx.Response:
    if isinstance(answer, httpx.Response):
        return answer
    if isinstance(answer, list):
        return httpx.Response(200, json=[item.model_dump(mode="json") for item in answer])
    return httpx.Response(200, json=answer.model_dump(mode="json")) if answer else httpx.Response(204)


@pytest.fixture
def pretend_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendEngine]:
    """The engine that every page of this test talks to."""
    pretend = PretendEngine()
    monkeypatch.setattr(engine_client, "connect", lambda workspace: pretend.client)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield pretend
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open one page of the studio with an address, as a bookmark would."""

    def open_at(name: str, **address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "studio" / "app.py"), default_timeout=20)
        app.run()
        app.switch_page(f"../pages/{name}.py")
        for key, value in address.items():
            app.query_params[key] = value
        return app.run()

    return open_at
