"""The studio's jobs without a browser: tune, check, estimate, compare, on the same code as the pages.

What a person reads goes to standard error, what a program reads (`--json`) alone to standard output.
"""

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import (
    ACTIVE_STATES,
    BUNDLED_MODEL,
    FINAL_STATES,
    METHOD_NAMES,
    Columns,
    Dataset,
    Estimate,
    EstimateRequest,
    Example,
    Finding,
    NewDataset,
    NewProject,
    NewRun,
    Recipe,
    Run,
)
from studio.against_model import check_against_model
from studio.base_models import explain_removal, render_facts
from studio.checkup import check_up
from studio.columns import suggest_columns
from studio.engine_client import EngineClient, connect
from studio.engine_process import EngineKeeper, ensure_engine, is_running, stop_engine
from studio.examples import build_examples
from studio.files import read_file
from studio.findings import sort_findings
from studio.unpacking import wait_for_base_model
from studio.wording import render_bytes, render_duration, render_duration_range, render_money_range

CALIBRATION_SECONDS = 90.0
POLL_SECONDS = 0.2
console = Console(stderr=True, highlight=False)


class ReadFile:
    """A person's file as examples: what can be tuned on, and what was found on the way."""

    def __init__(self, path: Path) -> None:
        table = read_file(_read_bytes(path), path.name)
        self.columns: Columns = suggest_columns(table).columns
        built, found = build_examples(table, self.columns)
        checkup = check_up(built)
        self.examples: list[Example] = list(checkup.examples)
        self.findings: list[Finding] = sort_findings([*found, *checkup.findings])
        self.name = path.name

    def refuse_if_unusable(self) -> None:
        for finding in self.findings:
            if finding.kind == "too-few":
                raise EngineFailure("too_few_examples", finding.message, "", finding.remedy)


def tune(options: Namespace) -> int:
    """File in, zip out. The run appears in the studio of the same workspace like any other."""
    file = ReadFile(options.file)
    file.refuse_if_unusable()
    _refuse_unwritable(options.out)
    with engine_for(options.workspace, options.model) as client, EngineKeeper(options.workspace):
        recipe = Recipe(
            base_model=_resolve_model(client, options.model, options.workspace),
            method=options.method,
            epochs=options.epochs,
            seed=options.seed,
        )
        dataset = _save_dataset(client, file)
        estimate = client.estimates(EstimateRequest(dataset_id=dataset.id, recipes=[recipe]))[0]
        run = client.start_run(NewRun(key=uuid4().hex, dataset_id=dataset.id, recipe=recipe))
        if options.with_base:
            client.start_export(run.id, include_base=True)
        run = _watch(client, run, quiet=options.json)
        if run.state != "succeeded":
            raise _failure_of(run)
        _download(client, run, options.out)
    _report(options, _tune_summary(run, dataset, estimate, options.out), _tune_sentence(run, options.out))
    return 0


def check(options: Namespace) -> int:
    """Say what is in a file and what to mend. 2 if it cannot be tuned on."""
    file = ReadFile(options.file)
    with engine_for(options.workspace, options.model) as client:
        if file.examples:
            model = _resolve_model(client, options.model, options.workspace)
            unfit = check_against_model(client, model, file.examples)
            file.findings = sort_findings([*file.findings, *unfit])
    summary = {
        "examples": len(file.examples),
        "columns": file.columns.model_dump(),
        "findings": [
            finding.model_dump(include={"severity", "kind", "rows", "message", "remedy"})
            for finding in file.findings
        ],
    }
    _report(options, summary, _check_sentences(file))
    file.refuse_if_unusable()
    return 0


def estimate(options: Namespace) -> int:
    """What each of the four methods would take on this machine for this file."""
    file = ReadFile(options.file)
    file.refuse_if_unusable()
    with engine_for(options.workspace, options.model) as client:
        model = _resolve_model(client, options.model, options.workspace)
        recipes = [Recipe(base_model=model, method=name) for name in METHOD_NAMES]
        estimates = _estimate(client, EstimateRequest(examples=file.examples, recipes=recipes))
    sentences = [
        f"{item.method:12} {render_duration_range(item.seconds_range)}, "
        f"{render_bytes(item.peak_memory_bytes)} of memory{'' if item.fits else ' (does not fit)'}, "
        f"{render_money_range(item.electricity_cost_range, item.currency)} of electricity, "
        f"download {render_bytes(item.download_bytes)}"
        for item in estimates
    ]
    _report(options, [item.model_dump(mode="json") for item in estimates], sentences)
    return 0


def compare(options: Namespace) -> int:
    """Base and tuned answer to all prompts at once, from a download alone.

    A base that is not inside is found by its weights among the base models of this machine.
    """
    command = [str(options.zip), "--max-tokens", str(options.max_tokens)]
    for prompt in options.prompts:
        command += ["--prompt", prompt]
    base = options.base or find_base(options.zip, options.workspace)
    if base:
        command += ["--base", str(base)]
    summary = _run_engine_module("engine.comparing", command)
    sentences = [
        f"\n> {answer['prompt']}\n\nbase:  {answer['base']}\n\ntuned: {answer['tuned']}"
        for answer in summary["answers"]
    ]
    _report(options, summary, sentences, to_output=True)
    return 0


def find_base(archive: Path, workspace: Path) -> str | None:
    """The folder of the base model that a download needs and does not carry, if it is on this machine."""
    arguments = ["base-of", str(archive), "--workspace", str(workspace)]
    found: str | None = _run_engine_module("engine.models", arguments)["folder"]
    return found


def models(options: Namespace) -> int:
    return MODEL_JOBS[options.models_job](options)


def list_models(options: Namespace) -> int:
    with engine_for(options.workspace) as client:
        known = client.models()
    sentences = [f"{model.name:28} {model.problem or render_facts(model)}" for model in known]
    _report(options, [model.model_dump(mode="json") for model in known], sentences, to_output=True)
    return 0


def add_model(options: Namespace) -> int:
    path, workspace = str(options.path.expanduser().absolute()), str(options.workspace)
    added = _run_engine_module("engine.models", ["add", path, "--workspace", workspace])
    _report(options, added, [f"“{added['name']}” can be tuned from now on."])
    return 0


def remove_model(options: Namespace) -> int:
    with engine_for(options.workspace) as client:
        known = [model for model in client.models() if model.name == options.name]
        client.remove_model(options.name)
    files = " ".join(explain_removal(model) for model in known)
    _report(options, {"removed": options.name}, [f"“{options.name}” was removed from the list. {files}"])
    return 0


def export_model(options: Namespace) -> int:
    arguments = ["export", str(options.folder), "--model", options.model]
    done = _run_engine_module("engine.models", [*arguments, "--workspace", str(options.workspace)])
    _report(
        options, done, [f"The base model lies in {done['folder']}; its fingerprint is {done['fingerprint']}."]
    )
    return 0


MODEL_JOBS: dict[str, Callable[[Namespace], int]] = {
    "list": list_models,
    "add": add_model,
    "remove": remove_model,
    "export": export_model,
}
JOBS: dict[str, Callable[[Namespace], int]] = {
    "tune": tune,
    "check": check,
    "estimate": estimate,
    "compare": compare,
    "models": models,
}


@contextmanager
def engine_for(workspace: Path, model: str = "") -> Generator[EngineClient]:
    """The workspace's engine; one that was started here ends again unless it still has work.

    For a job with the bundled `model` only once that is unpacked; raises EngineFailure if it cannot be.
    """
    was_running = is_running(connect(workspace))
    client = ensure_engine(workspace)
    try:
        if model == BUNDLED_MODEL and (failure := wait_for_base_model(client, console)):
            raise EngineFailure(**failure.model_dump())
        yield client
    finally:
        if not was_running and not _has_work(client):
            stop_engine(client)


def _has_work(client: EngineClient) -> bool:
    try:
        runs = [run for project in client.projects() for run in client.runs(project.id)]
    except EngineFailure:
        return False
    return any(run.state in (*ACTIVE_STATES, "queued") for run in runs)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"The file {path} cannot be read ({error.strerror})."
        raise EngineFailure("bad_request", what, "", "Check its name and place.") from error


def _refuse_unwritable(out: Path) -> None:
    if not out.resolve().parent.is_dir():
        raise EngineFailure(
            "bad_request", f"The folder for {out} does not exist.", "Nothing was started.", "Make it first."
        )


def _resolve_model(client: EngineClient, name: str, workspace: Path) -> str:
    """A catalogue name as it is, whatever lies here under that name.

    Any other folder or GGUF file is added and called by the name it got there.
    """
    if any(model.name == name for model in client.models()) or not Path(name).exists():
        return name
    return str(_run_engine_module("engine.models", ["add", name, "--workspace", str(workspace)])["name"])


def _run_engine_module(module: str, arguments: list[str]) -> dict[str, Any]:
    """One JSON object from a process of the engine's; exit code 2 carries a Failure instead."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if done.returncode == 0 and answer:
        return answer
    failure = Failure.model_validate(
        answer.get("failure", answer)
        or {"code": "unexpected", "what_happened": "That did not work, for a reason nobody foresaw."}
    )
    raise EngineFailure(failure.code, failure.what_happened, failure.what_you_have, failure.what_to_do)


def _save_dataset(client: EngineClient, file: ReadFile) -> Dataset:
    name = Path(file.name).stem[:100] or "voice"
    existing = [project for project in client.projects() if project.name == name]
    project = existing[0] if existing else client.create_project(NewProject(name=name))
    new = NewDataset(source_name=file.name[:100], columns=file.columns, examples=file.examples)
    return client.create_dataset(project.id, new)


def _estimate(client: EngineClient, request: EstimateRequest) -> list[Estimate]:
    """Waits for this machine's calibration: an estimate from a guess would be a guess."""
    deadline = time.monotonic() + CALIBRATION_SECONDS
    estimates = client.estimates(request)
    while not all(item.calibrated for item in estimates) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        estimates = client.estimates(request)
    return estimates


def _watch(client: EngineClient, run: Run, quiet: bool) -> Run:
    """Follow a run and its download check to the end; Ctrl-C cancels the run."""
    show = Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=quiet or not sys.stderr.isatty(),
    )
    try:
        with show:
            bar = show.add_task("queued", total=None, note="")
            while not _is_over(run):
                time.sleep(POLL_SECONDS)
                run = _patiently(client, run)
                show.update(
                    bar, description=run.state, total=run.steps or None, completed=run.step, note=_note(run)
                )
    except KeyboardInterrupt:
        client.set_desired(run.id, "cancel")
        raise
    return run


def _patiently(client: EngineClient, run: Run) -> Run:
    """The run as it is now; as it was while the engine is being restarted."""
    try:
        return client.run(run.id)
    except EngineFailure as error:
        if error.failure.code != "engine_unreachable":
            raise
        return run


def _is_over(run: Run) -> bool:
    if run.state == "succeeded":
        return run.export.state in ("ready", "failed")
    return run.state in FINAL_STATES


def _note(run: Run) -> str:
    if run.state == "succeeded":
        return "checking the download"
    return f"{render_duration(run.seconds_left)} left" if run.seconds_left is not None else ""


def _failure_of(run: Run) -> EngineFailure:
    failure = run.failure
    if failure is None:
        return EngineFailure("interrupted", "The run was cancelled.", "Your examples are saved.")
    return EngineFailure(failure.code, failure.what_happened, failure.what_you_have, failure.what_to_do)


def _download(client: EngineClient, run: Run, out: Path) -> None:
    if run.export.failure is not None:
        raise EngineFailure(**run.export.failure.model_dump())
    part = out.with_name(f".{out.name}.part")
    try:
        with client.stream_download(run.id) as response, part.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EngineFailure(
            "disk_full",
            f"The download could not be written to {out} ({error.strerror}).",
            "The tuned voice is kept in the studio.",
            "Open the studio and download it from there, or make room and try again.",
        ) from error


def _tune_summary(run: Run, dataset: Dataset, estimate: Estimate, out: Path) -> dict[str, Any]:
    return {
        "method": run.recipe.method,
        "model": run.recipe.base_model,
        "run": run.id,
        "examples_train": dataset.examples_train,
        "examples_validation": dataset.examples_validation,
        "steps": run.step,
        "stopped_because": run.stopped_because,
        "validation_loss_base": run.validation_loss_base,
        "validation_loss": run.validation_loss,
        "best_step": run.best_step,
        "seconds": run.seconds,
        "estimate_seconds": list(estimate.seconds_range),
        "peak_memory_bytes": run.peak_memory_bytes,
        "estimate_peak_memory_bytes": estimate.peak_memory_bytes,
        "checked_with": run.export.checked_with,
        "export": str(out),
    }


def _tune_sentence(run: Run, out: Path) -> list[str]:
    took = render_duration(run.seconds) if run.seconds is not None else "a while"
    lines = [f"Done in {took}."]
    if run.validation_loss is not None and run.validation_loss_base is not None:
        before, now = run.validation_loss_base, run.validation_loss
        lines.append(f"Loss on the held-out examples: {before:.2f} before, {now:.2f} now.")
    lines.append(f"Your download is {out}; it was opened and checked with {run.export.checked_with}.")
    return lines


def _check_sentences(file: ReadFile) -> list[str]:
    prompt = file.columns.template or file.columns.prompt or "none (the studio uses one of its own)"
    lines = [f"{len(file.examples)} usable examples. Prompt: {prompt}. Text: {file.columns.completion}."]
    return lines + [_finding_sentence(finding) for finding in file.findings]


def _finding_sentence(finding: Finding) -> str:
    return f"{finding.severity}: {finding.message} {finding.remedy}".rstrip()


def _report(options: Namespace, summary: Any, sentences: list[str], to_output: bool = False) -> None:
    if options.json:
        print(json.dumps(summary, ensure_ascii=False, allow_nan=False))
        return
    for sentence in sentences:
        print(sentence, file=sys.stdout if to_output else sys.stderr)
