"""Makes sure that an engine serves a workspace: attaches to the one that runs, or starts one.

Knows how to begin and end the engine, not what it does. An engine outlives the process that started it,
so closing the studio's window or crashing it never disturbs a run.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from engine.contract.failures import EngineFailure
from studio.engine_client import EngineClient, connect

START_SECONDS = 30.0
SHUTDOWN_SECONDS = 45.0
ALREADY_SERVED = 3
"""Exit code of an engine that found another one on its workspace."""


def is_running(client: EngineClient) -> bool:
    try:
        client.settings()
    except EngineFailure as error:
        return error.failure.code != "engine_unreachable"
    return True


def ensure_engine(workspace: Path) -> EngineClient:
    """A client of the workspace's running engine, started here if there was none.

    Raises EngineFailure("workspace_unusable") with the engine's own sentence when it cannot start.
    """
    client = connect(workspace)
    if is_running(client):
        return client
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - a file, never a pipe: the engine outlives us
    process = _start_engine(workspace, complaints)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if is_running(client):
            return client
        if process.poll() not in (None, ALREADY_SERVED):
            break
        time.sleep(0.05)
    raise EngineFailure(
        "workspace_unusable",
        _last_line(complaints) or "The tuning engine did not start.",
        "Nothing was changed.",
    )


def _start_engine(workspace: Path, complaints: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "--workspace", str(workspace)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        start_new_session=True,
    )


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def stop_engine(client: EngineClient) -> None:
    """Ask the engine to certify what runs and to end; returns when it has, or after a while."""
    try:
        client.shutdown()
    except EngineFailure:
        return
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while time.monotonic() < deadline and is_running(client):
        time.sleep(0.1)


class EngineKeeper:
    """Restarts the engine if it dies while the studio is open: an interrupted run goes on by itself."""

    def __init__(self, workspace: Path, interval_seconds: float = 2.0) -> None:
        self._workspace = workspace
        self._interval = interval_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="engine-keeper", daemon=True)

    def __enter__(self) -> "EngineKeeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                ensure_engine(self._workspace)
            except EngineFailure:
                continue
