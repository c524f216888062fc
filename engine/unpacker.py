"""Has the base model that comes with the product unpacked when it is not there, or not as it was written.

Starts and ends the unpacking's process and knows how far it is; the unpacking itself is the matter of
`engine/models/unpacking.py`. Driven by the worker's loop. Does not know who needs the model.
"""

import json
import logging
import os
from typing import IO, Any

from engine.contract.failures import Failure
from engine.contract.records import BundledModelState
from engine.models.bundled import BUNDLED
from engine.processes import Child, start_module
from engine.workspace import Workspace

log = logging.getLogger(__name__)

MODULE = "engine.models"
# Two threads of its own do the work; no library needs any besides.
_LIBRARY_THREADS = 1
_UNKNOWN = Failure(
    code="unexpected",
    what_happened="The base model could not be unpacked.",
    what_you_have="Your projects are safe.",
    what_to_do="Start Voicewright again; if it fails once more, the file logs/unpacking.log says more.",
)


class Unpacker:
    """At most one unpacking at a time; one that failed is tried again when someone asks for it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._child: Child | None = None
        self._mouth: IO[bytes] | None = None
        self._words = b""
        self._share = 0.0
        self._failure: Failure | None = None
        self._is_checked = False

    @property
    def is_busy(self) -> bool:
        return self._child is not None

    def state(self) -> BundledModelState:
        if self._child is not None:
            return BundledModelState(state="unpacking", share=self._share)
        if BUNDLED.is_complete():
            return BundledModelState(state="ready", share=1.0)
        if self._failure is not None:
            return BundledModelState(state="failed", failure=self._failure)
        return BundledModelState(state="unpacking")

    def try_again(self) -> BundledModelState:
        """After a failure; otherwise nothing changes."""
        if self._child is None:
            self._failure = None
        return self.state()

    def tick(self) -> None:
        if self._child is not None:
            self._look_after(self._child)
        elif self._failure is None and not self._is_there():
            self._start()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._forget()

    def _is_there(self) -> bool:
        """By its sizes and times; the first time by its content as well."""
        if self._is_checked:
            return BUNDLED.is_complete()
        self._is_checked = True
        return BUNDLED.is_intact()

    def _start(self) -> None:
        log.info("the base model is unpacked")
        self._words, self._share = b"", 0.0
        child = start_module(
            MODULE,
            ["unpack"],
            folder=self._workspace.root,
            log=self._workspace.root / "logs" / "unpacking.log",
            threads=_LIBRARY_THREADS,
            talks_back=True,
        )
        self._child, self._mouth = child, child.process.stdout
        if self._mouth is not None:
            os.set_blocking(self._mouth.fileno(), False)

    def _look_after(self, child: Child) -> None:
        exit_code = child.poll()
        self._listen()
        if exit_code is None:
            return
        if exit_code != 0 and self._failure is None:
            log.warning("unpacking the base model ended with code %s", exit_code)
            self._failure = _UNKNOWN
        self._forget()

    def _forget(self) -> None:
        if self._mouth is not None:
            self._mouth.close()
        self._child = self._mouth = None

    def _listen(self) -> None:
        said = self._mouth.read() if self._mouth is not None else None
        self._words += said or b""
        *lines, self._words = self._words.split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, said: dict[str, Any]) -> None:
        if "failure" in said:
            self._failure = Failure.model_validate(said["failure"])
        else:
            self._share = said["done"] / said["total"]
