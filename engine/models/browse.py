"""A look into the folders below a person's home, for a model that lies there.

Tells the names of folders and GGUF files, nothing else, and leaves hidden ones out. Does not know models.
"""

from pathlib import Path

from engine.contract.failures import EngineFailure
from engine.contract.records import FolderListing
from engine.models.found import is_model_folder

NAMES_AT_MOST = 300


def list_folder(home: Path, path: str | None) -> FolderListing:
    """The folder at `path`, or the home itself; EngineFailure for one that lies elsewhere, or hidden."""
    home = home.resolve()
    folder = _expand(path) if path else home
    if folder is None or not _is_open(folder, home):
        raise EngineFailure(
            "bad_request",
            "Only the folders in your home folder can be looked through here.",
            "",
            "Type the path of a model that lies elsewhere.",
        )
    folder = folder.resolve()
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name.casefold())
    except OSError as error:
        what = f"The folder {folder} cannot be read ({error.strerror})."
        raise EngineFailure("not_found", what, "", "Choose another folder.") from error
    shown = [entry for entry in entries if _is_open(entry, home)]
    return FolderListing(
        path=str(folder),
        parent=None if folder == home else str(folder.parent),
        folders=[entry.name for entry in shown if _is_folder(entry)][:NAMES_AT_MOST],
        gguf_files=[entry.name for entry in shown if entry.suffix.lower() == ".gguf" and entry.is_file()][
            :NAMES_AT_MOST
        ],
        is_model=is_model_folder(folder),
    )


def _expand(path: str) -> Path | None:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # The home of somebody who is not known here.
        return None


def _is_open(path: Path, home: Path) -> bool:
    """Below the home after every link, and nowhere on the way hidden."""
    try:
        parts = path.resolve().relative_to(home).parts
    except (OSError, RuntimeError, ValueError):
        return False
    return path.is_absolute() and not any(part.startswith(".") for part in parts)


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
