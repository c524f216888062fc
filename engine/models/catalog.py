"""Which base models can be tuned, by name: the bundled one, and the folders that a person added.

Does not know what is in a folder (`engine/models/inspect.py`), methods or runs.
"""

import json
from pathlib import Path

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, BaseModelInfo
from engine.models.bundled import bundled_folder
from engine.models.inspect import check_folder, fingerprint, read_shape
from engine.workspace import Workspace, write_durably


def find_model(workspace: Workspace, name: str) -> Path | None:
    """The folder of a base model by its name, if there is one."""
    if name == BUNDLED_MODEL:
        return bundled_folder()
    folder = _local_models(workspace).get(name)
    return Path(folder) if folder else None


def get_model(workspace: Workspace, name: str) -> Path:
    folder = find_model(workspace, name)
    if folder is None:
        raise EngineFailure(
            "not_found",
            f"There is no base model called “{name}” here.",
            what_to_do="Choose another base model.",
        )
    return folder


def list_models(workspace: Workspace) -> list[BaseModelInfo]:
    """The bundled one first, then the added ones by name; a folder that vanished or broke is left out."""
    infos = []
    for name in (BUNDLED_MODEL, *sorted(_local_models(workspace))):
        try:
            infos.append(describe_model(name, get_model(workspace, name)))
        except EngineFailure:
            continue
    return infos


def describe_model(name: str, folder: Path) -> BaseModelInfo:
    shape = read_shape(folder)
    bundled = name == BUNDLED_MODEL
    return BaseModelInfo(
        name=name,
        title="SmolLM2 135M Instruct" if bundled else name,
        parameters=shape.parameters,
        layers=shape.layers,
        hidden_size=shape.hidden_size,
        vocabulary=shape.vocabulary,
        window_tokens=shape.window_tokens,
        bytes=shape.bytes,
        fingerprint=fingerprint(folder),
        is_bundled=bundled,
        description="A small English model that comes with Voicewright." if bundled else "",
    )


def add_local_model(workspace: Workspace, folder: Path) -> BaseModelInfo:
    """Check a folder and remember it under its own name; adding it again changes nothing."""
    folder = folder.expanduser().resolve()
    check_folder(folder)
    known = _local_models(workspace)
    name = next((known_name for known_name, path in known.items() if path == str(folder)), None)
    if name is None:
        name = _free_name(folder.name, {BUNDLED_MODEL, *known})
        known[name] = str(folder)
        write_durably(_catalogue_file(workspace), json.dumps(known, indent=1).encode())
    return describe_model(name, folder)


def _catalogue_file(workspace: Workspace) -> Path:
    return workspace.root / "models.json"


def _local_models(workspace: Workspace) -> dict[str, str]:
    file = _catalogue_file(workspace)
    if not file.exists():
        return {}
    return {str(name): str(folder) for name, folder in json.loads(file.read_text("utf-8")).items()}


def _free_name(wanted: str, taken: set[str]) -> str:
    wanted = wanted[:100] or "model"
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
