"""The engine's HTTP API: the paths of `contract/routes.py`, each handed to the part that knows.

Knows bodies, statuses and streams. Does not know SQL, processes or how anything is computed; who may speak at
all is the guard's matter.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Annotated, get_args
from uuid import uuid4

from fastapi import FastAPI, Path, Query
from fastapi.responses import FileResponse, StreamingResponse

from engine.adding import ModelAdder
from engine.answering import Answering, Ticket
from engine.calibrating import Calibrator
from engine.contract import records, routes
from engine.contract.brand import Brand
from engine.contract.failures import EngineFailure
from engine.curve import Curves
from engine.dataset import check_examples, fingerprint_of, read_examples, render_examples, save_examples
from engine.exporting import Exporter
from engine.faults import reach
from engine.guard import prove
from engine.methods import get_method
from engine.models.browse import list_folder
from engine.models.catalog import added_paths, forget_model, get_model, list_models
from engine.models.found import find_models
from engine.models.inspect import read_shape
from engine.planning import Planner
from engine.reading import read_example
from engine.responses import add_failures, attachment, render_events
from engine.store import Store
from engine.unpacker import Unpacker
from engine.worker import Worker
from engine.workspace import Workspace

VERSION = version("voicewright")

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Nonce = Annotated[str, Query(pattern=r"^[0-9a-f]{16,128}$")]


class Wish(records.Record):
    """The body of RUN_DESIRED."""

    desired: records.Desired


@dataclass(frozen=True)
class Parts:
    """What the routes hand their requests to."""

    workspace: Workspace
    store: Store
    curves: Curves
    worker: Worker
    exporter: Exporter
    calibrator: Calibrator
    unpacker: Unpacker
    planner: Planner
    answering: Answering
    adder: ModelAdder
    token: str


class ShutDown:
    """Called to ask the server to leave; set once there is a server."""

    def __init__(self) -> None:
        self.ask: Callable[[], None] = lambda: None


def build_app(parts: Parts, shut_down: ShutDown) -> FastAPI:
    """All routes; pages of documentation are left out, since no browser may speak here."""
    app = FastAPI(title="Voicewright engine", version=VERSION, docs_url=None, redoc_url=None)
    add_engine_routes(app, parts, shut_down)
    add_project_routes(app, parts)
    add_model_routes(app, parts)
    add_planning_routes(app, parts)
    add_run_routes(app, parts)
    add_answer_routes(app, parts)
    add_download_routes(app, parts)
    add_failures(app)
    return app


# --- the engine itself --------------------------------------------------------------------------------


def add_engine_routes(app: FastAPI, parts: Parts, shut_down: ShutDown) -> None:
    @app.get(routes.HELLO)
    def hello(nonce: Nonce) -> records.Hello:
        return records.Hello(proof=prove(parts.token, nonce), version=VERSION, pid=os.getpid())

    @app.post(routes.SHUTDOWN, status_code=202)
    async def shutdown() -> None:
        # The answer goes out first.
        asyncio.get_running_loop().call_later(0.05, lambda: shut_down.ask())

    @app.get(routes.MACHINE)
    def machine() -> records.Machine:
        return parts.calibrator.machine(records.BUNDLED_MODEL)

    @app.get(routes.SETTINGS)
    def settings() -> records.Settings:
        return parts.store.get_settings()

    @app.put(routes.SETTINGS)
    def save_settings(settings: records.Settings) -> records.Settings:
        return parts.store.save_settings(settings)


# --- projects and their examples ------------------------------------------------------------------------


def add_project_routes(app: FastAPI, parts: Parts) -> None:
    @app.get(routes.PROJECTS)
    def list_projects() -> list[records.Project]:
        return parts.store.list_projects()

    @app.post(routes.PROJECTS)
    def add_project(new: records.NewProject) -> records.Project:
        return parts.store.add_project(new)

    @app.get(routes.PROJECT)
    def get_project(project_id: Id) -> records.Project:
        return parts.store.get_project(project_id)

    @app.patch(routes.PROJECT)
    def rename_project(project_id: Id, new: records.NewProject) -> records.Project:
        return parts.store.rename_project(project_id, new.name)

    @app.delete(routes.PROJECT, status_code=204)
    def remove_project(project_id: Id) -> None:
        parts.store.mark_project_removed(project_id)
        parts.worker.wake()

    @app.get(routes.PROJECT_BRAND)
    def get_brand(project_id: Id) -> Brand:
        return parts.store.get_brand(project_id)

    @app.put(routes.PROJECT_BRAND)
    def save_brand(project_id: Id, brand: Brand) -> Brand:
        return parts.store.save_brand(project_id, brand)

    @app.get(routes.PROJECT_DATASETS)
    def list_datasets(project_id: Id) -> list[records.Dataset]:
        return parts.store.list_datasets(project_id)

    @app.post(routes.PROJECT_DATASETS)
    def add_dataset(project_id: Id, new: records.NewDataset) -> records.Dataset:
        return freeze_dataset(parts, project_id, new)

    @app.get(routes.DATASET)
    def get_dataset(dataset_id: Id) -> records.Dataset:
        return parts.store.get_dataset(dataset_id)

    @app.put(routes.DATASET_IN_USE)
    def use_dataset(dataset_id: Id) -> records.Dataset:
        return parts.store.choose_dataset(dataset_id)

    @app.get(routes.DATASET_EXAMPLES)
    def get_examples(dataset_id: Id) -> list[records.Example]:
        parts.store.get_dataset(dataset_id)
        return read_examples(parts.workspace.dataset(dataset_id))


def freeze_dataset(parts: Parts, project_id: str, new: records.NewDataset) -> records.Dataset:
    """The file first, then the row: a row whose file is missing can never be."""
    parts.store.get_project(project_id)
    check_examples(new.examples)
    lines = render_examples(new.examples)
    known = parts.store.find_dataset_by_fingerprint(project_id, fingerprint_of(lines))
    if known:
        return parts.store.choose_dataset(known.id)
    held_out = sum(example.split == "validation" for example in new.examples)
    dataset = records.Dataset(
        id=uuid4().hex,
        project_id=project_id,
        version=1,
        created_at=time.time(),
        source_name=new.source_name,
        columns=new.columns,
        examples_train=len(new.examples) - held_out,
        examples_validation=held_out,
        fingerprint=fingerprint_of(lines),
    )
    file = parts.workspace.dataset(dataset.id)
    save_examples(file, lines)
    reach("dataset_row")
    added = parts.store.add_dataset(dataset)
    if added.id != dataset.id:
        # The same examples, saved twice at once.
        file.unlink()
    return added


# --- base models ----------------------------------------------------------------------------------------


def add_model_routes(app: FastAPI, parts: Parts) -> None:
    @app.get(routes.MODELS)
    def models() -> list[records.BaseModelInfo]:
        return list_models(parts.workspace)

    @app.get(routes.BUNDLED_STATE)
    def bundled_state() -> records.BundledModelState:
        return parts.unpacker.state()

    @app.post(routes.BUNDLED_STATE)
    def unpack_again() -> records.BundledModelState:
        state = parts.unpacker.try_again()
        parts.worker.wake()
        return state

    @app.post(routes.MODELS)
    def add_model(new: records.NewModel) -> records.ModelAddition:
        return parts.adder.start(new)

    @app.get(routes.MODEL_ADDITIONS)
    def additions() -> list[records.ModelAddition]:
        return parts.adder.list()

    @app.delete(routes.MODEL, status_code=204)
    def remove_model(base_model: str) -> None:
        refuse_in_use(parts, base_model)
        forget_model(parts.workspace, base_model)

    @app.get(routes.FOUND_MODELS)
    def found_models() -> list[records.FoundModel]:
        return find_models(FilePath.home(), added_paths(parts.workspace))

    @app.get(routes.FOLDERS)
    def folders(path: str | None = None) -> records.FolderListing:
        return list_folder(FilePath.home(), path)


def refuse_in_use(parts: Parts, base_model: str) -> None:
    """A run that has not ended needs its base model to go on."""
    open_states = [state for state in get_args(records.RunState) if state not in records.FINAL_STATES]
    if any(run.recipe.base_model == base_model for run in parts.store.runs_in(open_states)):
        raise EngineFailure(
            "conflict",
            f"A run that has not ended learns on “{base_model}”.",
            "Nothing was changed.",
            "Wait until it has finished, or cancel it, and remove the model then.",
        )


# --- readings and estimates -----------------------------------------------------------------------------


def add_planning_routes(app: FastAPI, parts: Parts) -> None:
    @app.post(routes.TOKEN_COUNTS)
    def count_tokens(base_model: str, examples: list[records.Example]) -> records.TokenCounts:
        if len(examples) > records.MAX_EXAMPLES:
            raise EngineFailure(
                "too_many_examples", f"More than {records.MAX_EXAMPLES:,} examples were sent."
            )
        return parts.planner.count_tokens(base_model, examples)

    @app.post(routes.READING)
    def read(base_model: str, request: records.ReadingRequest) -> records.Reading:
        return read_example(get_model(parts.workspace, base_model), request.example)

    @app.post(routes.ESTIMATES)
    def estimate(request: records.EstimateRequest) -> list[records.Estimate]:
        estimates = parts.planner.estimate(request)
        parts.worker.wake()
        return estimates


# --- runs -------------------------------------------------------------------------------------------------


def add_run_routes(app: FastAPI, parts: Parts) -> None:
    @app.get(routes.PROJECT_RUNS)
    def list_runs(project_id: Id) -> list[records.Run]:
        return [show_run(parts, run) for run in parts.store.list_runs(project_id)]

    @app.post(routes.RUNS)
    def start_run(new: records.NewRun) -> records.Run:
        return show_run(parts, queue_run(parts, new))

    @app.get(routes.RUN)
    def get_run(run_id: Id) -> records.Run:
        return show_run(parts, parts.store.get_run(run_id))

    @app.put(routes.RUN_DESIRED)
    def want(run_id: Id, wish: Wish) -> records.Run:
        return show_run(parts, parts.worker.want(run_id, wish.desired))

    @app.get(routes.RUN_METRICS)
    def metrics(run_id: Id) -> records.Metrics:
        run = show_run(parts, parts.store.get_run(run_id))
        return records.Metrics(
            run_id=run_id,
            state=run.state,
            step=run.step,
            steps=run.steps,
            seconds_left=run.seconds_left,
            points=parts.curves.read(parts.workspace.run(run_id).journal).points,
        )

    @app.get(routes.RUN_EVENTS)
    def events(run_id: Id) -> list[records.Event]:
        return parts.store.list_events(run_id)


def queue_run(parts: Parts, new: records.NewRun) -> records.Run:
    """The row with its full recipe and its estimate; the worker does the rest."""
    known = parts.store.find_run_by_key(new.key)
    if known:
        return known
    dataset = parts.store.get_dataset(new.dataset_id)
    shape = read_shape(get_model(parts.workspace, new.recipe.base_model))
    recipe = get_method(new.recipe.method).build_recipe(new.recipe, dataset.examples_train, shape)
    wanted = records.EstimateRequest(dataset_id=dataset.id, recipes=[recipe])
    estimate = parts.planner.estimate(wanted)[0]
    run = parts.store.add_run(new.model_copy(update={"recipe": recipe}), estimate)
    parts.worker.wake()
    return run


def show_run(parts: Parts, run: records.Run) -> records.Run:
    """The row, with what changes too often for a row: steps and time left, and the state of the download."""
    export = parts.exporter.report(run)
    if run.state not in records.ACTIVE_STATES:
        return run.model_copy(update={"export": export})
    curve = parts.curves.read(parts.workspace.run(run.id).journal)
    if curve.attempt != run.attempt:
        return run.model_copy(update={"export": export})
    now = {"step": curve.step, "steps": curve.steps or run.steps, "seconds_left": curve.seconds_left}
    return run.model_copy(update={"export": export, **now})


# --- answers ----------------------------------------------------------------------------------------------


def add_answer_routes(app: FastAPI, parts: Parts) -> None:
    @app.post(routes.ANSWERS, response_class=StreamingResponse)
    async def answer(request: records.AnswerRequest) -> StreamingResponse:
        return stream_answers(parts.answering, request)

    @app.post(routes.MANY_ANSWERS, response_class=StreamingResponse)
    async def answer_many(request: records.ManyAnswersRequest) -> StreamingResponse:
        return stream_answers(parts.answering, request)


def stream_answers(
    answering: Answering, request: records.AnswerRequest | records.ManyAnswersRequest
) -> StreamingResponse:
    ticket = answering.admit(request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(answering, ticket), media_type="text/event-stream", headers=headers)


async def stream(answering: Answering, ticket: Ticket) -> AsyncIterator[str]:
    """The answer's events; a reader that leaves gives the answer up."""
    try:
        async for line in render_events(answering.read(ticket)):
            yield line
    finally:
        answering.give_up(ticket)


# --- downloads --------------------------------------------------------------------------------------------


def add_download_routes(app: FastAPI, parts: Parts) -> None:
    @app.get(routes.RUN_EXPORT)
    def export(run_id: Id) -> records.Export:
        return parts.exporter.report(parts.store.get_run(run_id))

    @app.post(routes.RUN_EXPORT)
    def start_export(run_id: Id, choice: records.ExportChoice | None = None) -> records.Export:
        run = parts.store.get_run(run_id)
        if choice:
            parts.exporter.choose(run, choice)
        elif run.state != "succeeded":
            raise _not_ready("This run has not finished, so there is nothing to download yet.")
        report = parts.exporter.want(run)
        parts.worker.wake()
        return report

    @app.get(routes.RUN_DOWNLOAD, response_class=FileResponse)
    def download(run_id: Id) -> FileResponse:
        run = parts.store.get_run(run_id)
        if parts.exporter.report(run).state != "ready":
            raise _not_ready("The download is not ready yet.")
        name = parts.store.get_project(run.project_id).name
        disposition = {"Content-Disposition": attachment(f"{name} {run.number}.zip")}
        file = parts.workspace.run(run_id).download
        return FileResponse(file, media_type="application/zip", headers=disposition)


def _not_ready(what_happened: str) -> EngineFailure:
    return EngineFailure("conflict", what_happened, "Nothing was lost.", "Wait a moment and try again.")
