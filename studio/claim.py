"""One studio per workspace: whoever creates `studio.json` first serves it, all others find it there.

The file holds who serves (process id and its start time) and, once the studio listens, where. A claim
whose process is gone is worth nothing and is replaced. Works on every system: no locks, only a link
that fails if its name is taken.
"""

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from engine.contract.failures import EngineFailure
from studio.handshake import proves
from studio.server import HELLO

HELLO_SECONDS = 2.0
STARTING_SECONDS = 20.0


class Claim:
    """The right to serve `workspace`, held from `take` to `release`."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "studio.json"
        self.secret = secrets.token_hex(32)

    def take(self) -> str | None:
        """None if the workspace is ours now, else the address of the studio that serves it.

        Raises EngineFailure("workspace_unusable") if the folder cannot be written.
        """
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline:
            if self._create():
                return None
            other = _read(self._file)
            if not _lives(other):
                self._remove_dead(other)
            elif url := _prove(other):
                return url
            time.sleep(0.1)
        raise EngineFailure(
            "workspace_unusable",
            "Another Voicewright is starting on this folder and does not get ready.",
            "Your projects are safe.",
            "Close it, then start again.",
        )

    def publish(self, url: str) -> None:
        """Say where the studio listens."""
        self._write({**self._holder(), "url": url}).replace(self._file)

    def release(self) -> None:
        self._file.unlink(missing_ok=True)

    def _create(self) -> bool:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            complete = self._write(self._holder())
        except OSError as error:
            raise _unusable(self._file.parent, error.strerror or "no access") from error
        try:
            os.link(complete, self._file)  # fails if it exists; nobody ever sees a claim without its content
        except FileExistsError:
            return False
        finally:
            complete.unlink()
        return True

    def _remove_dead(self, dead: dict[str, Any]) -> None:
        """Take the dead claim away; a live one that came in between is put back."""
        aside = self._file.with_name(f".{uuid4().hex}")
        try:
            self._file.rename(aside)
        except FileNotFoundError:
            return
        if _read(aside) != dead:
            with suppress(FileExistsError):
                os.link(aside, self._file)
        aside.unlink()

    def _write(self, holder: dict[str, Any]) -> Path:
        file = self._file.with_name(f".{uuid4().hex}")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(holder, stream)
        return file

    def _holder(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "started": psutil.Process().create_time(), "secret": self.secret}


def _unusable(folder: Path, reason: str) -> EngineFailure:
    return EngineFailure(
        "workspace_unusable",
        f"The folder for your projects, {folder}, cannot be used ({reason}).",
        "Nothing was changed.",
        "Choose another folder with --workspace, or make this one writable.",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        holder = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _lives(holder: dict[str, Any]) -> bool:
    """True if the very process that claimed still runs; a recycled process id does not count."""
    try:
        started = float(psutil.Process(holder["pid"]).create_time())
        return abs(started - float(holder["started"])) < 1.0
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _prove(holder: dict[str, Any]) -> str | None:
    """The holder's address if it answers there and knows the secret."""
    try:
        url, nonce = str(holder["url"]), secrets.token_hex(16)
        answer = httpx.get(f"{url}{HELLO}", params={"nonce": nonce}, timeout=HELLO_SECONDS)
        return url if proves(str(answer.json()["proof"]), str(holder["secret"]), nonce) else None
    except (KeyError, ValueError, TypeError, httpx.HTTPError):
        return None
