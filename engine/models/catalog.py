"""Which base models can be tuned, by name: the bundled one, and the folders that a person added.

Does not know what is in a folder (`engine/models/inspect.py`, `check.py`), methods or runs.
"""

import json
import traceback
from pathlib import Path

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, BaseModelInfo
from engine.models.bundled import BUNDLED, bundled_folder
from engine.models.card import ModelCard, read_card
from engine.models.check import check_folder, resolve_folder
from engine.models.inspect import fingerprint, read_shape
from engine.workspace import ASSETS, Workspace, write_durably

_BUNDLED_CARD = ModelCard("Apache-2.0", ("en",))
_EARLIER_MODELS = ASSETS / "models" / "earlier.json"
"""Base models that came with earlier versions: name -> what they were."""
_ADD_AGAIN = "Add it again."
_TORN_CATALOGUE = (
    "The list of the models that you added was damaged and is kept under this name in the workspace. "
    "Add your models again."
)


def find_model(workspace: Workspace, name: str) -> Path | None:
    """The folder of a base model by its name, if there is one."""
    if name == BUNDLED_MODEL:
        return bundled_folder()
    folder = _local_models(workspace).get(name)
    return Path(folder) if folder else None


def get_model(workspace: Workspace, name: str) -> Path:
    folder = find_model(workspace, name)
    if folder is None:
        raise _missing(name)
    if name == BUNDLED_MODEL and not BUNDLED.is_complete():
        raise EngineFailure(
            "model_unpacking",
            "The base model that comes with Voicewright is not unpacked at the moment.",
            "Your examples are safe.",
            "It is unpacked by itself within some seconds: try again then.",
        )
    return folder


def _missing(name: str) -> EngineFailure:
    """For a person: the model was removed, never added, or came with an earlier version."""
    earlier: dict[str, str] = json.loads(_EARLIER_MODELS.read_text("utf-8"))
    if name in earlier:
        return EngineFailure(
            "not_found",
            f"This voice was tuned on {earlier[name]}, which no longer comes with it.",
            "Its download, if it was made, is still here.",
            "Tune the voice again on another base model to hear it here.",
        )
    return EngineFailure(
        "not_found",
        f"There is no base model called “{name}” here.",
        what_to_do="Add it again in Settings, or choose another base model.",
    )


def list_models(workspace: Workspace) -> list[BaseModelInfo]:
    """The bundled one first, then the added ones by name; one that vanished or broke says so (`problem`)."""
    names = (BUNDLED_MODEL, *sorted(_local_models(workspace)))
    infos = [_describe_or_say_why_not(workspace, name) for name in names]
    # Until a model is added again.
    if not _catalogue_file(workspace).exists():
        infos += [_broken(file.name, _TORN_CATALOGUE) for file in _torn_catalogues(workspace)]
    return infos


def _describe_or_say_why_not(workspace: Workspace, name: str) -> BaseModelInfo:
    try:
        return describe_model(name, get_model(workspace, name))
    except EngineFailure as error:
        return _broken(name, error.failure.sentence)
    except Exception:
        # A folder that changed since it was added may hold anything; the others must still be listed.
        traceback.print_exc()
        return _broken(name, f"Its folder no longer holds a base model. {_ADD_AGAIN}")


def _broken(name: str, problem: str) -> BaseModelInfo:
    return BaseModelInfo(
        name=name,
        title=_title(name),
        parameters=0,
        layers=0,
        hidden_size=0,
        vocabulary=0,
        window_tokens=0,
        bytes=0,
        fingerprint="",
        is_bundled=name == BUNDLED_MODEL,
        problem=problem,
    )


def describe_model(name: str, folder: Path) -> BaseModelInfo:
    shape = read_shape(folder)
    bundled = name == BUNDLED_MODEL
    card = _BUNDLED_CARD if bundled else read_card(folder)
    return BaseModelInfo(
        name=name,
        title=_title(name),
        parameters=shape.parameters,
        layers=shape.layers,
        hidden_size=shape.hidden_size,
        vocabulary=shape.vocabulary,
        window_tokens=shape.window_tokens,
        bytes=shape.bytes,
        fingerprint=fingerprint(folder),
        is_bundled=bundled,
        description="A small English model that comes with Voicewright." if bundled else "",
        path=str(folder),
        licence=card.licence,
        languages=card.languages,
    )


def _title(name: str) -> str:
    return "SmolLM2 135M Instruct" if name == BUNDLED_MODEL else name


def add_local_model(workspace: Workspace, folder: Path, wanted_name: str = "") -> BaseModelInfo:
    """Check a folder and remember it under its own name, or the one wanted; again changes nothing."""
    folder = resolve_folder(folder)
    check_folder(folder)
    known = _local_models(workspace)
    name = next((known_name for known_name, path in known.items() if path == str(folder)), None)
    if name is None:
        name = _free_name(_plain_name(wanted_name or folder.name), {BUNDLED_MODEL, *known})
        known[name] = str(folder)
        write_durably(_catalogue_file(workspace), json.dumps(known, indent=1).encode())
    return describe_model(name, folder)


def forget_model(workspace: Workspace, name: str) -> None:
    """Take an added model out of the catalogue; its files stay as they are."""
    if name == BUNDLED_MODEL:
        raise EngineFailure(
            "conflict", "The base model that comes with Voicewright stays.", "Nothing was changed."
        )
    get_model(workspace, name)
    known = {other: path for other, path in _local_models(workspace).items() if other != name}
    write_durably(_catalogue_file(workspace), json.dumps(known, indent=1).encode())


def added_paths(workspace: Workspace) -> frozenset[str]:
    """Where the added models lie."""
    return frozenset(_local_models(workspace).values())


def _catalogue_file(workspace: Workspace) -> Path:
    return workspace.root / "models.json"


def _local_models(workspace: Workspace) -> dict[str, str]:
    """Name -> folder. A catalogue that cannot be read is moved aside, so that models can be added again."""
    file = _catalogue_file(workspace)
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text("utf-8"))
        if isinstance(known, dict):
            return {str(name): str(folder) for name, folder in known.items()}
    except (ValueError, RecursionError):
        pass
    file.rename(file.with_name(f"models.damaged-{len(_torn_catalogues(workspace)) + 1}.json"))
    return {}


def _torn_catalogues(workspace: Workspace) -> list[Path]:
    return sorted(workspace.root.glob("models.damaged-*.json"))


def _plain_name(wanted: str) -> str:
    """One line that a list shows and an address carries."""
    return " ".join("".join(c if c.isprintable() and c not in "/\\" else " " for c in wanted).split())


def _free_name(wanted: str, taken: set[str]) -> str:
    wanted = wanted[:100] or "model"
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
