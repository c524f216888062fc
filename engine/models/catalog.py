"""Which base models can be tuned, by name: the bundled one, and the folders that a person added.

Does not know what is in a folder (`engine/models/inspect.py`, `check.py`), methods or runs.
"""

import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL, BaseModelInfo
from engine.models.bundled import BUNDLED, bundled_folder
from engine.models.card import ModelCard, read_card
from engine.models.check import check_folder, resolve_folder
from engine.models.folder import unusable
from engine.models.found import is_gguf
from engine.models.hashes import file_sha256
from engine.models.inspect import fingerprint, has_chat_template, read_shape
from engine.models.unpacking import Unpacking
from engine.processes import hold_lock
from engine.workspace import ASSETS, Workspace, write_durably

_BUNDLED_CARD = ModelCard("Apache-2.0", ("en",), "Q4_1")
_EARLIER_MODELS = ASSETS / "models" / "earlier.json"
"""Base models that came with earlier versions: name -> what they were."""
_LOCK_SECONDS = 10.0
_ADD_AGAIN = "Add it again."
_TORN_CATALOGUE = (
    "The list of the models that you added was damaged and is kept under this name in the workspace. "
    "Add your models again."
)


@dataclass(frozen=True)
class Added:
    """A model that a person added: its folder, or a GGUF file with its hash."""

    path: Path
    sha256: str = ""

    @property
    def unpacking(self) -> Unpacking | None:
        return Unpacking.of(self.path, self.sha256) if self.sha256 else None

    @property
    def folder(self) -> Path:
        return self.unpacking.folder if self.unpacking else self.path


def find_model(workspace: Workspace, name: str) -> Path | None:
    """The folder of a base model by its name, if there is one."""
    if name == BUNDLED_MODEL:
        return bundled_folder()
    added = _local_models(workspace).get(name)
    return added.folder if added else None


def get_model(workspace: Workspace, name: str) -> Path:
    folder = find_model(workspace, name)
    if folder is None:
        raise _missing(name)
    unpacking = list_unpackings(workspace).get(name)
    if unpacking and not unpacking.is_complete():
        raise _not_unpacked(unpacking)
    return folder


def list_unpackings(workspace: Workspace) -> dict[str, Unpacking]:
    """The models that are unpacked from GGUF files, by name; the bundled one first."""
    added = {name: model.unpacking for name, model in _local_models(workspace).items() if model.unpacking}
    return {BUNDLED_MODEL: BUNDLED} | added


def _not_unpacked(unpacking: Unpacking) -> EngineFailure:
    if not unpacking.source.exists():
        return EngineFailure(
            "model_unusable",
            f"The file {unpacking.source} is gone, from which “{unpacking.name}” is unpacked.",
            "Your examples are safe.",
            "Put the file back, or choose another base model.",
        )
    if unpacking.failure:
        return EngineFailure(**unpacking.failure.model_dump())
    return EngineFailure(
        "model_unpacking",
        f"The base model “{unpacking.name}” is not unpacked at the moment.",
        "Your examples are safe.",
        "It is unpacked by itself, which takes some seconds or, if it is large, minutes: try again then.",
    )


def _missing(name: str) -> EngineFailure:
    """For a person: the model was removed, never added, or came with an earlier version."""
    earlier: dict[str, str] = json.loads(_EARLIER_MODELS.read_text("utf-8"))
    if name in earlier:
        return EngineFailure(
            "not_found",
            f"This voice was tuned on {earlier[name]}, which is no longer included.",
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
    added = _local_models(workspace)
    names = (BUNDLED_MODEL, *sorted(added))
    infos = [_describe_or_say_why_not(workspace, name, added.get(name)) for name in names]
    # Until a model is added again.
    if not _catalogue_file(workspace).exists():
        infos += [_broken(file.name, _TORN_CATALOGUE) for file in _torn_catalogues(workspace)]
    return infos


def _describe_or_say_why_not(workspace: Workspace, name: str, added: Added | None) -> BaseModelInfo:
    try:
        info = describe_model(name, get_model(workspace, name))
    except EngineFailure as error:
        unpacking = list_unpackings(workspace).get(name)
        has_failed = unpacking is not None and error.failure == unpacking.failure
        info = _broken(name, error.failure.sentence, has_failed)
    except Exception:
        # A folder that changed since it was added may hold anything; the others must still be listed.
        traceback.print_exc()
        info = _broken(name, f"Its folder no longer holds a base model. {_ADD_AGAIN}")
    return _say_source(workspace, info, added) if added else info


def _say_source(workspace: Workspace, info: BaseModelInfo, added: Added) -> BaseModelInfo:
    """It lies where the person's folder or file is; what was unpacked from that is nothing to them."""
    source = "upload" if _is_upload(workspace, added.path) else "file" if added.sha256 else "folder"
    return info.model_copy(update={"path": str(added.path), "source": source, "can_be_removed": True})


def _broken(name: str, problem: str, can_try_again: bool = False) -> BaseModelInfo:
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
        can_try_again=can_try_again,
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
        description=_describe(bundled, folder),
        path=str(folder),
        licence=card.licence,
        languages=card.languages,
        quantised_from=card.quantised_from,
    )


def _describe(bundled: bool, folder: Path) -> str:
    if bundled:
        return "A small English model that comes with Voicewright."
    plain = "It was not made for conversation; a simple prompt format is used."
    return "" if has_chat_template(folder) else plain


def _title(name: str) -> str:
    return "SmolLM2 135M Instruct" if name == BUNDLED_MODEL else name


def add_local_model(workspace: Workspace, path: Path, wanted_name: str = "") -> BaseModelInfo:
    """Check a folder or GGUF file and remember it under its own name, or the one wanted.

    Adding it again changes nothing. A GGUF file is unpacked and stays where it is: from it the unpacked
    folder can be made again.
    """
    path = resolve_folder(path)
    added = _unpack_added(path) if is_gguf(path) or path.suffix.lower() == ".gguf" else Added(path)
    check_folder(added.folder)
    name = _remember(workspace, added, _plain_name(wanted_name or (path.stem if added.sha256 else path.name)))
    return _say_source(workspace, describe_model(name, added.folder), added)


def _remember(workspace: Workspace, added: Added, wanted_name: str) -> str:
    """The name under which it is in the catalogue from now on, or was already."""
    with _changing(workspace) as known:
        name = next((known_name for known_name, model in known.items() if model == added), None)
        if name is None:
            name = _free_name(wanted_name, {BUNDLED_MODEL, *known})
            known[name] = added
    return name


def _unpack_added(file: Path) -> Added:
    """Raises EngineFailure, and leaves nothing behind, if it cannot be unpacked or tuned."""
    try:
        added = Added(file, file_sha256(file))
    except OSError as error:
        raise unusable(f"the file cannot be read ({error.strerror})", "Check its name and place.") from error
    unpacking = Unpacking.of(file, added.sha256)
    try:
        unpacking.make(lambda done, total: None)
        check_folder(unpacking.folder)
    except EngineFailure as error:
        if error.failure.code != "busy":
            unpacking.remove()
        raise
    return added


def forget_model(workspace: Workspace, name: str) -> None:
    """Take an added model out of the catalogue. A copy that was dropped on a page goes, other files stay."""
    if name == BUNDLED_MODEL:
        raise EngineFailure(
            "conflict", "The base model that comes with Voicewright stays.", "Nothing was changed."
        )
    with _changing(workspace) as known:
        if name not in known:
            raise _missing(name)
        added = known.pop(name)
    if added.unpacking and all(other.folder != added.folder for other in known.values()):
        added.unpacking.remove()
    discard_upload(workspace, added.path)


def discard_upload(workspace: Workspace, path: Path) -> None:
    """Remove a file that was dropped on a page and belongs to no model; others are not ours."""
    if _is_upload(workspace, path) and str(path) not in added_paths(workspace):
        path.unlink(missing_ok=True)


def _is_upload(workspace: Workspace, path: Path) -> bool:
    return path.parent == workspace.uploads


def added_paths(workspace: Workspace) -> frozenset[str]:
    """Where the added models lie."""
    return frozenset(str(model.path) for model in _local_models(workspace).values())


def _catalogue_file(workspace: Workspace) -> Path:
    return workspace.root / "models.json"


@contextmanager
def _changing(workspace: Workspace) -> Iterator[dict[str, Added]]:
    """The added models, to be changed in the block: by one process at a time, and saved if that goes well."""
    try:
        with hold_lock(workspace.root / "models.lock", _LOCK_SECONDS):
            known = _local_models(workspace)
            before = dict(known)
            yield known
            if known != before:
                _save(workspace, known)
    except TimeoutError as error:
        raise EngineFailure(
            "busy",
            "The list of your models is being changed by another program of Voicewright.",
            "Nothing was changed.",
            "Try again in a moment.",
        ) from error


def _save(workspace: Workspace, known: Mapping[str, Added]) -> None:
    entries = {
        name: {"gguf": str(model.path), "sha256": model.sha256} if model.sha256 else str(model.path)
        for name, model in known.items()
    }
    write_durably(_catalogue_file(workspace), json.dumps(entries, indent=1).encode())


def _local_models(workspace: Workspace) -> dict[str, Added]:
    """By name. A catalogue that cannot be read is moved aside, so that models can be added again."""
    file = _catalogue_file(workspace)
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text("utf-8"))
        if isinstance(known, dict):
            return {str(name): _read_entry(entry) for name, entry in known.items()}
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    file.rename(file.with_name(f"models.damaged-{len(_torn_catalogues(workspace)) + 1}.json"))
    return {}


def _read_entry(entry: Any) -> Added:
    if isinstance(entry, dict):
        return Added(Path(entry["gguf"]), str(entry["sha256"]))
    return Added(Path(entry))


def _torn_catalogues(workspace: Workspace) -> list[Path]:
    return sorted(workspace.root.glob("models.damaged-*.json"))


def _plain_name(wanted: str) -> str:
    """One line that a list shows and an address carries."""
    return " ".join("".join(c if c.isprintable() and c not in "/\\" else " " for c in wanted).split())


def _free_name(wanted: str, taken: set[str]) -> str:
    wanted = wanted[:100] or "model"
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
