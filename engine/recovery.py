"""Opens the database, whatever state it was left in, and keeps the copy it can be mended from.

A damaged file is moved aside, never overwritten; the newest copy takes its place, and what happened since is
found again in the runs' own files by the worker's first look. Does not know what a run or a project means.
"""

import logging
import shutil
import time
from pathlib import Path

from engine.store import DatabaseError, Store, explain, is_damage
from engine.workspace import Workspace, sync_folder

log = logging.getLogger(__name__)

SECONDS_BETWEEN_COPIES = 10.0


def open_store(workspace: Workspace) -> Store:
    """The workspace's store: as it was left, else from the copy, else new."""
    store = _open_sound(workspace)
    if store is None:
        _move_aside(workspace)
        _put_copy_in_place(workspace)
        store = _open_sound(workspace) or Store(workspace.database)
    return store


def copy_of(workspace: Workspace) -> Path:
    return workspace.root / f"{workspace.database.name}.copy"


class Copies:
    """Keeps the copy near: taken by the worker's loop some seconds after a change."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._workspace = workspace
        self._store = store
        self._copied_changes = -1
        self._copied_at = float("-inf")

    def tick(self) -> None:
        is_due = time.monotonic() - self._copied_at > SECONDS_BETWEEN_COPIES
        if is_due and self._store.changes != self._copied_changes:
            self._copied_at = time.monotonic()
            changes = self._store.changes
            self._store.copy_to(copy_of(self._workspace))
            self._copied_changes = changes


def _open_sound(workspace: Workspace) -> Store | None:
    """None if SQLite cannot read the file or finds it damaged; a failure if it is merely kept from it."""
    try:
        store = Store(workspace.database)
        if store.is_sound():
            return store
        store.close()
    except (DatabaseError, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise explain(error) from error
        log.error("the database cannot be read: %s", error)
    return None


def _move_aside(workspace: Workspace) -> None:
    """The database and the files that belong to it, kept for whoever can mend them."""
    stamp = time.time_ns()
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = workspace.root / f"{workspace.database.name}{suffix}"
        if file.exists():
            file.rename(workspace.root / f"damaged-{stamp}-{file.name}")
    sync_folder(workspace.root)
    log.error("the damaged database was moved aside as damaged-%d-%s", stamp, workspace.database.name)


def _put_copy_in_place(workspace: Workspace) -> None:
    copy = copy_of(workspace)
    if copy.exists():
        shutil.copyfile(copy, workspace.database)
        log.warning("the newest copy of the database takes its place")
