"""The database's shape, as the list of changes that led to it: append only, each with its reason.

The number of applied migrations is kept in `PRAGMA user_version`, inside the same transaction as the change.
This module knows tables and columns. It does not know what is stored in them, nor when.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from engine.contract.failures import EngineFailure

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Migration:
    reason: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "The first shape: one voice is a project, its frozen examples are datasets, each click is a run. "
        "A removed project or run keeps its row with `removed_at` until its files are gone.",
        (
            """
            CREATE TABLE projects (
                id TEXT PRIMARY KEY,
                name TEXT NOT NULL,
                is_sample INTEGER NOT NULL,
                created_at REAL NOT NULL,
                removed_at REAL
            ) STRICT
            """,
            """
            CREATE TABLE datasets (
                id TEXT PRIMARY KEY,
                project_id TEXT NOT NULL REFERENCES projects(id),
                version INTEGER NOT NULL,
                created_at REAL NOT NULL,
                source_name TEXT NOT NULL,
                columns TEXT NOT NULL,
                examples_train INTEGER NOT NULL,
                examples_validation INTEGER NOT NULL,
                fingerprint TEXT NOT NULL,
                UNIQUE (project_id, version),
                UNIQUE (project_id, fingerprint)
            ) STRICT
            """,
            """
            CREATE TABLE runs (
                id TEXT PRIMARY KEY,
                key TEXT NOT NULL UNIQUE,
                number INTEGER NOT NULL,
                project_id TEXT NOT NULL REFERENCES projects(id),
                dataset_id TEXT NOT NULL REFERENCES datasets(id),
                recipe TEXT NOT NULL,
                estimate TEXT,
                state TEXT NOT NULL,
                desired TEXT NOT NULL,
                attempt INTEGER NOT NULL DEFAULT 0,
                attempts_without_progress INTEGER NOT NULL DEFAULT 0,
                progress_step INTEGER NOT NULL DEFAULT 0,
                created_at REAL NOT NULL,
                started_at REAL,
                finished_at REAL,
                removed_at REAL,
                step INTEGER NOT NULL DEFAULT 0,
                steps INTEGER NOT NULL DEFAULT 0,
                seconds REAL,
                peak_memory_bytes INTEGER,
                validation_loss_base REAL,
                validation_loss REAL,
                best_step INTEGER,
                stopped_because TEXT,
                failure TEXT,
                UNIQUE (project_id, number)
            ) STRICT
            """,
            "CREATE INDEX runs_by_state ON runs (state)",
            """
            CREATE TABLE events (
                id INTEGER PRIMARY KEY,
                at REAL NOT NULL,
                run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
                from_state TEXT,
                to_state TEXT NOT NULL,
                reason TEXT NOT NULL
            ) STRICT
            """,
            "CREATE INDEX events_by_run ON events (run_id)",
            "CREATE TABLE settings (id INTEGER PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL) STRICT",
        ),
    ),
    Migration(
        "A project has its brand's rules and fact sheet, in a table of its own: a list of projects need not "
        "read every fact sheet.",
        (
            """
            CREATE TABLE brands (
                project_id TEXT PRIMARY KEY REFERENCES projects(id) ON DELETE CASCADE,
                brand TEXT NOT NULL
            ) STRICT
            """,
        ),
    ),
    Migration(
        "A project can go back to an earlier version of its examples: the highest `chosen` is in use. "
        "A number and no time, because clocks jump.",
        (
            "ALTER TABLE datasets ADD COLUMN chosen INTEGER NOT NULL DEFAULT 0",
            "UPDATE datasets SET chosen = version",
        ),
    ),
)


def schema_version(db: Database) -> int:
    return int(db.conn.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: Database, backup: Path) -> None:
    """Bring the database to the newest shape: an older one is copied to `backup` first, a newer refused."""
    version = schema_version(db)
    if version > len(MIGRATIONS):
        raise EngineFailure(
            "workspace_unusable",
            "Your projects were last opened with a newer version of Voicewright than this one.",
            "Nothing was changed.",
            "Open them with the newer version.",
        )
    if 0 < version < len(MIGRATIONS):
        _back_up(db, backup)
    for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
        _apply(db, number, migration)


def _back_up(db: Database, backup: Path) -> None:
    with sqlite3.connect(backup) as copy:
        db.conn.backup(copy)
    copy.close()
    log.info("the database was copied to %s before it was changed", backup.name)


def _apply(db: Database, number: int, migration: Migration) -> None:
    # DDL and user_version are transactional in SQLite: a crash in between leaves the shape as it was.
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        for statement in migration.statements:
            db.conn.execute(statement)
        db.conn.execute(f"PRAGMA user_version = {number:d}")
        db.conn.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise
    log.info("database brought to shape %d: %s", number, migration.reason)
