"""`python -m engine.models add PATH --workspace DIR`: makes a model of this machine a base model.
`python -m engine.models list --workspace DIR`: all base models of a workspace.
`python -m engine.models export FOLDER --model NAME --workspace DIR`: writes one as a standard folder.
`python -m engine.models base-of ZIP --workspace DIR`: the folder of the base model that a download fits.
`python -m engine.models unpack NAME --workspace DIR`: has a model ready that comes from a GGUF file.

A path comes from the person whose machine it is. `add` prints one JSON object, the model's `BaseModelInfo`,
`list` a list of them, `export` and `base-of` where it lies; `unpack` says how far it is in lines of
{"done": bytes, "total": bytes}. All end with {"failure": …} and exit code 2 if it cannot be done.
"""

import argparse
import json
import resource
import sys
from pathlib import Path

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import BUNDLED_MODEL
from engine.models.bundled import BUNDLED

MEMORY_BYTES = 6_000_000_000
_TOO_LARGE = Failure(
    code="model_unusable",
    what_happened="Reading this model takes more memory than it may.",
    what_you_have="Nothing was changed.",
    what_to_do="Choose a smaller model.",
)
_REPORT_EVERY = 0.02
"""Of the whole, at least, between two lines."""


def main(arguments: list[str] | None = None) -> int:
    options = _read_options(arguments)
    try:
        if options.job == "unpack":
            _unpack(options.name, options.workspace)
        elif options.job in ("export", "base-of"):
            _use_copies(options)
        else:
            _use_catalogue(options)
    except EngineFailure as error:
        print(json.dumps({"failure": error.failure.model_dump()}))
        return 2
    except MemoryError:
        print(json.dumps({"failure": _TOO_LARGE.model_dump()}))
        return 2
    return 0


def _read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.models")
    jobs = parser.add_subparsers(dest="job", required=True)
    add = jobs.add_parser("add")
    add.add_argument("path", type=Path)
    add.add_argument("--name", default="", help="what to call it instead of as its folder is called")
    export = jobs.add_parser("export")
    export.add_argument("folder", type=Path)
    export.add_argument("--model", required=True)
    base_of = jobs.add_parser("base-of")
    base_of.add_argument("archive", type=Path)
    for job in (add, export, base_of, jobs.add_parser("list")):
        job.add_argument("--workspace", type=Path, required=True)
    unpack = jobs.add_parser("unpack")
    unpack.add_argument("name", nargs="?", default=BUNDLED_MODEL)
    unpack.add_argument("--workspace", type=Path, help="of a model that was added")
    return parser.parse_args(arguments)


def _use_catalogue(options: argparse.Namespace) -> None:
    from engine.models.catalog import add_local_model, list_models
    from engine.workspace import Workspace

    workspace = Workspace(options.workspace.resolve())
    workspace.create()
    if options.job == "add":
        _limit_memory()
        print(add_local_model(workspace, options.path, options.name).model_dump_json())
    else:
        print(json.dumps([model.model_dump(mode="json") for model in list_models(workspace)]))


def _use_copies(options: argparse.Namespace) -> None:
    from engine.models.copies import export_model, find_base_of
    from engine.workspace import Workspace

    workspace = Workspace(options.workspace.resolve())
    if options.job == "export":
        written = export_model(workspace, options.model, options.folder)
        print(json.dumps({"folder": str(options.folder), "fingerprint": written}))
    else:
        found = find_base_of(workspace, options.archive)
        print(json.dumps({"folder": str(found) if found else None}))


def _unpack(name: str, folder: Path | None) -> None:
    from engine.models.catalog import list_unpackings
    from engine.workspace import Workspace

    _limit_memory()
    known = {BUNDLED.name: BUNDLED} if folder is None else list_unpackings(Workspace(folder.resolve()))
    if name not in known:
        raise EngineFailure("not_found", f"There is no base model called “{name}” here.")
    known[name].make(_Report())


def _limit_memory() -> None:
    """For a stranger's file: what it claims of itself must not fill this machine."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Report:
    """A line whenever enough has been done since the last one."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or done / total - self._said >= _REPORT_EVERY:
            self._said = done / total
            print(json.dumps({"done": done, "total": total}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
