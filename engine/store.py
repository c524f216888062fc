"""All SQL of Voicewright, in one class on one connection: projects, brands, datasets, runs, events, settings.

Every change is one BEGIN IMMEDIATE transaction; a change of a run's state is one conditional UPDATE with its
row in `events`. Knows rows and their records. Does not know files, processes or HTTP.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from engine.contract.brand import Brand
from engine.contract.failures import EngineFailure
from engine.contract.records import (
    Dataset,
    Desired,
    Estimate,
    Event,
    Export,
    NewProject,
    NewRun,
    Project,
    Recipe,
    Run,
    RunState,
    Settings,
)
from engine.migrations import migrate
from engine.workspace import sync_folder

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from sqlite3 import DatabaseError as DatabaseError
else:
    DatabaseError = sqlite3.DatabaseError
# Older libraries may corrupt a write-ahead log when it is reset: https://sqlite.org/wal.html#walresetbug
FIRST_SAFE_WAL = (3, 51, 3)
BUSY_SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """How far a run has come over all attempts, and how many attempts brought it no further."""

    step: int
    attempts_without: int


class Store:
    """The database of one workspace. Safe to use from several threads; one of them works at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        # isolation_level=None: no hidden BEGIN, every transaction here is written out.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db = _set_up(connection)
            path.chmod(0o600)
            migrate(self._db, backup=path.with_name(f"{path.name}.before-update-{int(time.time())}"))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def is_sound(self) -> bool:
        """False if SQLite itself finds the file damaged."""
        # Not quick_check: it passes over the indexes, and a write into a broken one fails much later.
        return self._rows("PRAGMA integrity_check(1)") == [{"integrity_check": "ok"}]

    @property
    def changes(self) -> int:
        """How many rows this connection has changed: a larger number than before means news."""
        return int(self._db.conn.total_changes)

    def copy_to(self, path: Path) -> None:
        """A consistent copy, in one piece or not at all."""
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.unlink(missing_ok=True)
        copy = sqlite3.connect(temporary)
        temporary.chmod(0o600)
        try:
            with self._lock:
                self._db.conn.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            is_sound = copy.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        finally:
            copy.close()
        if is_sound:
            replace_durably(temporary, path)

    # --- projects ---------------------------------------------------------------------------------

    def add_project(self, new: NewProject, project_id: str | None = None) -> Project:
        project = Project(
            id=project_id or uuid4().hex, name=new.name, is_sample=new.is_sample, created_at=time.time()
        )
        with self._transaction():
            self._db["projects"].insert(project.model_dump())
        return project

    def list_projects(self) -> list[Project]:
        rows = self._rows("SELECT * FROM projects WHERE removed_at IS NULL ORDER BY rowid DESC")
        return [_project(row) for row in rows]

    def get_project(self, project_id: str) -> Project:
        rows = self._rows("SELECT * FROM projects WHERE id = ? AND removed_at IS NULL", [project_id])
        return _project(_only(rows, "project"))

    def rename_project(self, project_id: str, name: str) -> Project:
        sql = "UPDATE projects SET name = ? WHERE id = ? AND removed_at IS NULL RETURNING *"
        with self._transaction():
            return _project(_only(self._rows(sql, [name, project_id]), "project"))

    def mark_project_removed(self, project_id: str) -> None:
        """Hide a project and want all its runs gone; the rows stay until their files are removed."""
        now = time.time()
        sql = "UPDATE projects SET removed_at = ? WHERE id = ? AND removed_at IS NULL RETURNING id"
        with self._transaction():
            _only(self._rows(sql, [now, project_id]), "project")
            self._db.execute("UPDATE runs SET desired = 'delete' WHERE project_id = ?", [project_id])

    def removed_projects(self) -> dict[str, list[str]]:
        """Projects without runs whose removal has begun, each with its datasets' ids."""
        sql = """
            SELECT projects.id AS id, datasets.id AS dataset_id
            FROM projects LEFT JOIN datasets ON datasets.project_id = projects.id
            WHERE projects.removed_at IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.project_id = projects.id)
        """
        found: dict[str, list[str]] = {}
        for row in self._rows(sql):
            found.setdefault(row["id"], []).extend([row["dataset_id"]] if row["dataset_id"] else [])
        return found

    def forget_project(self, project_id: str) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM datasets WHERE project_id = ?", [project_id])
            self._db.execute("DELETE FROM projects WHERE id = ?", [project_id])

    # --- brands -----------------------------------------------------------------------------------

    def get_brand(self, project_id: str) -> Brand:
        """The rules and facts of a project; empty ones if none were saved."""
        self.get_project(project_id)
        rows = self._rows("SELECT brand FROM brands WHERE project_id = ?", [project_id])
        return Brand.model_validate_json(rows[0]["brand"]) if rows else Brand()

    def save_brand(self, project_id: str, brand: Brand) -> Brand:
        row = {"project_id": project_id, "brand": brand.model_dump_json()}
        with self._transaction():
            self.get_project(project_id)
            self._db["brands"].upsert(row, pk="project_id")
        return brand

    # --- datasets ---------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> Dataset:
        """Insert a version, numbered here; the same examples again return the version that is there.

        Either way it is the one in use from now on.
        """
        newest = "SELECT coalesce(max(version), 0) AS version FROM datasets WHERE project_id = ?"
        with self._transaction():
            self.get_project(dataset.project_id)
            added = self.find_dataset_by_fingerprint(dataset.project_id, dataset.fingerprint)
            if added is None:
                version = self._rows(newest, [dataset.project_id])[0]["version"] + 1
                added = dataset.model_copy(update={"version": version})
                self._db["datasets"].insert(_as_row(added))
            self._choose(added)
        return added

    def choose_dataset(self, dataset_id: str) -> Dataset:
        """Make a version the one in use; others stay as they are."""
        with self._transaction():
            dataset = self.get_dataset(dataset_id)
            self._choose(dataset)
        return dataset

    def _choose(self, dataset: Dataset) -> None:
        sql = """
            UPDATE datasets
            SET chosen = (SELECT max(chosen) + 1 FROM datasets WHERE project_id = ?) WHERE id = ?
        """
        self._db.execute(sql, [dataset.project_id, dataset.id])

    def find_dataset_by_fingerprint(self, project_id: str, fingerprint: str) -> Dataset | None:
        sql = "SELECT * FROM datasets WHERE project_id = ? AND fingerprint = ?"
        rows = self._rows(sql, [project_id, fingerprint])
        return _dataset(rows[0]) if rows else None

    def list_datasets(self, project_id: str) -> list[Dataset]:
        """The one in use first, then as they were in use before it."""
        self.get_project(project_id)
        rows = self._rows("SELECT * FROM datasets WHERE project_id = ? ORDER BY chosen DESC", [project_id])
        return [_dataset(row) for row in rows]

    def get_dataset(self, dataset_id: str) -> Dataset:
        sql = """
            SELECT datasets.* FROM datasets JOIN projects ON projects.id = project_id
            WHERE datasets.id = ? AND removed_at IS NULL
        """
        return _dataset(_only(self._rows(sql, [dataset_id]), "dataset"))

    # --- runs -------------------------------------------------------------------------------------

    def add_run(self, new: NewRun, estimate: Estimate | None) -> Run:
        """Put a run into the queue. A key that was used before returns the run it made then."""
        number = "SELECT coalesce(max(number), 0) + 1 AS number FROM runs WHERE project_id = ?"
        with self._transaction():
            known = self.find_run_by_key(new.key)
            if known:
                return known
            project_id = self.get_dataset(new.dataset_id).project_id
            run_id = uuid4().hex
            row = {
                "id": run_id,
                "key": new.key,
                "number": self._rows(number, [project_id])[0]["number"],
                "project_id": project_id,
                "dataset_id": new.dataset_id,
                "recipe": new.recipe.model_dump_json(),
                "estimate": estimate.model_dump_json() if estimate else None,
                "state": "queued",
                "desired": "run",
                "created_at": time.time(),
                "steps": estimate.steps if estimate else 0,
            }
            self._db["runs"].insert(row)
            self._add_event(run_id, None, "queued", "asked for")
        return self.get_run(run_id)

    def find_run_by_key(self, key: str) -> Run | None:
        rows = self._rows("SELECT * FROM runs WHERE key = ? AND removed_at IS NULL", [key])
        return _run(rows[0]) if rows else None

    def get_run(self, run_id: str) -> Run:
        rows = self._rows("SELECT * FROM runs WHERE id = ? AND removed_at IS NULL", [run_id])
        return _run(_only(rows, "run"))

    def list_runs(self, project_id: str) -> list[Run]:
        self.get_project(project_id)
        sql = "SELECT * FROM runs WHERE project_id = ? AND removed_at IS NULL ORDER BY number DESC"
        return [_run(row) for row in self._rows(sql, [project_id])]

    def runs_in(self, states: Collection[RunState]) -> list[Run]:
        """In order of creation: rowids, because clocks jump."""
        sql = """
            SELECT * FROM runs
            WHERE state IN (SELECT value FROM json_each(?)) AND removed_at IS NULL ORDER BY rowid
        """
        return [_run(row) for row in self._rows(sql, [json.dumps(sorted(states))])]

    def runs_to_delete(self) -> list[Run]:
        """Runs whose removal is wanted or has begun."""
        sql = "SELECT * FROM runs WHERE desired = 'delete' OR removed_at IS NOT NULL ORDER BY rowid"
        return [_run(row) for row in self._rows(sql)]

    def set_desired(self, run_id: str, desired: Desired) -> Run:
        sql = "UPDATE runs SET desired = ? WHERE id = ? AND desired != 'delete' RETURNING id"
        with self._transaction():
            self.get_run(run_id)
            self._rows(sql, [desired, run_id])
        return self.get_run(run_id)

    def change_state(
        self,
        run_id: str,
        allowed: Collection[RunState],
        state: RunState,
        reason: str,
        changes: Mapping[str, Any] | None = None,
    ) -> Run | None:
        """Move a run on and write down why; None if it was in none of the allowed states any more."""
        before = "SELECT state FROM runs WHERE id = ?"
        sql = """
            UPDATE runs SET state = ?
            WHERE id = ? AND state IN (SELECT value FROM json_each(?)) RETURNING id
        """
        with self._transaction():
            rows = self._rows(before, [run_id])
            if not self._rows(sql, [state, run_id, json.dumps(sorted(allowed))]):
                return None
            if changes:
                self._db["runs"].update(run_id, dict(changes))
            self._add_event(run_id, rows[0]["state"], state, reason)
        return self.get_run(run_id)

    def claim(self, run_id: str) -> Run | None:
        """queued -> preparing as the next attempt, committed before its process exists."""
        sql = """
            UPDATE runs
            SET state = 'preparing', attempt = attempt + 1, started_at = coalesce(started_at, ?)
            WHERE id = ? AND state = 'queued' RETURNING attempt
        """
        with self._transaction():
            rows = self._rows(sql, [time.time(), run_id])
            if not rows:
                return None
            self._add_event(run_id, "queued", "preparing", f"attempt {rows[0]['attempt']}")
        return self.get_run(run_id)

    def get_progress(self, run_id: str) -> Progress:
        sql = "SELECT progress_step, attempts_without_progress FROM runs WHERE id = ?"
        row = _only(self._rows(sql, [run_id]), "run")
        return Progress(row["progress_step"], row["attempts_without_progress"])

    def mark_run_removed(self, run_id: str) -> None:
        with self._transaction():
            self._db.execute("UPDATE runs SET removed_at = ? WHERE id = ?", [time.time(), run_id])

    def forget_run(self, run_id: str) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM runs WHERE id = ?", [run_id])

    def list_events(self, run_id: str) -> list[Event]:
        self.get_run(run_id)
        sql = "SELECT at, run_id, from_state, to_state, reason FROM events WHERE run_id = ? ORDER BY id"
        return [Event(**row) for row in self._rows(sql, [run_id])]

    # --- settings ---------------------------------------------------------------------------------

    def get_settings(self) -> Settings:
        rows = self._rows("SELECT settings FROM settings")
        return Settings.model_validate_json(rows[0]["settings"]) if rows else Settings()

    def save_settings(self, settings: Settings) -> Settings:
        with self._transaction():
            self._db["settings"].upsert({"id": 1, "settings": settings.model_dump_json()}, pk="id")
        return settings

    # --- the one way to the connection ------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            # IMMEDIATE takes the write lock before the first read: no upgrade can fail half-way.
            self._db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.conn.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise

    def _rows(self, sql: str, parameters: Collection[Any] = ()) -> list[dict[str, Any]]:
        with self._lock:
            cursor = self._db.conn.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _add_event(self, run_id: str, before: RunState | None, after: RunState, reason: str) -> None:
        self._db["events"].insert(
            {"at": time.time(), "run_id": run_id, "from_state": before, "to_state": after, "reason": reason}
        )


def explain(error: DatabaseError | UnicodeDecodeError) -> EngineFailure:
    """A database error as a person should read it."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return EngineFailure(
            "busy",
            "Another program is using your projects' file.",
            "Nothing was changed.",
            "Try again in a moment.",
        )
    if "full" in text or "disk I/O" in text:
        return EngineFailure(
            "disk_full",
            "The disk has no room left, so this could not be saved.",
            "Everything saved before is still there.",
            "Free some space and try again.",
        )
    return EngineFailure(
        "unexpected", "Your projects' file could not be read.", "Nothing was changed.", "Restart Voicewright."
    )


def is_damage(error: DatabaseError | UnicodeDecodeError) -> bool:
    """Whether the file itself is broken, rather than busy or without room."""
    text = str(error)
    signs = ("malformed", "not a database", "unsupported file format")
    return isinstance(error, UnicodeDecodeError) or any(sign in text for sign in signs)


def replace_durably(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def _set_up(connection: Any) -> Database:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    connection.execute(f"PRAGMA journal_mode = {_journal_mode()}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return Database(connection)


def _journal_mode() -> str:
    if sqlite3.sqlite_version_info >= FIRST_SAFE_WAL:
        return "WAL"
    log.info("SQLite %s has the write-ahead log bug: a rollback journal is used", sqlite3.sqlite_version)
    return "DELETE"


def _only(rows: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if not rows:
        raise EngineFailure(
            "not_found", f"This {what} does not exist (any more).", "", "Go back to your projects."
        )
    return rows[0]


def _as_row(record: Dataset) -> dict[str, Any]:
    return {**record.model_dump(exclude={"columns"}), "columns": record.columns.model_dump_json()}


def _project(row: Mapping[str, Any]) -> Project:
    return Project.model_validate({name: row[name] for name in Project.model_fields})


def _dataset(row: Mapping[str, Any]) -> Dataset:
    known = {name: row[name] for name in Dataset.model_fields}
    return Dataset.model_validate({**known, "columns": json.loads(row["columns"])})


def _run(row: Mapping[str, Any]) -> Run:
    """A row as a run; what changes with every step (time left) and the export come from files later."""
    known = {name: row[name] for name in Run.model_fields if name in row}
    return Run.model_validate(
        {
            **known,
            "recipe": Recipe.model_validate_json(row["recipe"]),
            "estimate": json.loads(row["estimate"]) if row["estimate"] else None,
            "failure": json.loads(row["failure"]) if row["failure"] else None,
            "seconds_left": None,
            "export": Export(),
        }
    )
