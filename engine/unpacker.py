"""Has base models unpacked from their GGUF files that are not there, or not as they were written.

The one that comes with the product and those that were added. Starts and ends the unpacking's process and
knows how far it is; the unpacking itself is the matter of `engine/models/unpacking.py`. Driven by the
worker's loop. Does not know who needs a model.
"""

import json
import logging
import os
import threading
from typing import IO, Any

from engine.contract.failures import Failure
from engine.contract.records import BundledModelState
from engine.models.bundled import BUNDLED
from engine.models.catalog import list_unpackings
from engine.models.unpacking import Unpacking
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
    what_to_do="Try again; if it fails once more, the file logs/unpacking.log says more.",
)


class Unpacker:
    """At most one unpacking at a time; one that failed is tried again when someone asks for it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._child: Child | None = None
        self._mouth: IO[bytes] | None = None
        self._words = b""
        self._unpacking: Unpacking = BUNDLED
        self._share = 0.0
        self._check: threading.Thread | None = None
        self._is_damaged = False

    @property
    def is_busy(self) -> bool:
        return self._child is not None

    def state(self) -> BundledModelState:
        """Of the model that comes with the product."""
        if self._child is not None and self._unpacking == BUNDLED:
            return BundledModelState(state="unpacking", share=self._share)
        if BUNDLED.is_complete():
            return BundledModelState(state="ready", share=1.0)
        if BUNDLED.failure:
            return BundledModelState(state="failed", failure=BUNDLED.failure)
        return BundledModelState(state="unpacking")

    def is_coming(self, name: str) -> bool:
        """Whether a model is not unpacked yet and nothing is known to stand in the way."""
        unpacking = list_unpackings(self._workspace).get(name)
        return (
            unpacking is not None
            and unpacking.failure is None
            and unpacking.source.exists()
            and not unpacking.is_complete()
        )

    def try_again(self) -> BundledModelState:
        """All that failed; otherwise nothing changes. Returns the state of the bundled one."""
        for unpacking in list_unpackings(self._workspace).values():
            if self._child is None or unpacking != self._unpacking:
                unpacking.note_failure(None)
        return self.state()

    def tick(self) -> None:
        if self._child is not None:
            self._look_after(self._child)
        if self._child is not None:
            return
        for name, unpacking in list_unpackings(self._workspace).items():
            if self._is_there(name, unpacking):
                unpacking.note_failure(None)
            elif unpacking.failure is None and (name == BUNDLED.name or unpacking.source.exists()):
                self._start(name, unpacking)
                return

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._forget()

    def _is_there(self, name: str, unpacking: Unpacking) -> bool:
        """By its sizes and times; what comes with the product once by its content too, beside all else."""
        if name != BUNDLED.name:
            return unpacking.is_complete()
        if self._check is None:
            self._check = threading.Thread(target=self._check_content, name="unpacker", daemon=True)
            self._check.start()
        return unpacking.is_complete() and not self._is_damaged

    def _check_content(self) -> None:
        self._is_damaged = BUNDLED.is_complete() and not BUNDLED.is_intact()

    def _start(self, name: str, unpacking: Unpacking) -> None:
        log.info("the base model %s is unpacked", name)
        self._unpacking, self._words, self._share, self._is_damaged = unpacking, b"", 0.0, False
        child = start_module(
            MODULE,
            ["unpack", "--workspace", str(self._workspace.root), "--", name],
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
        if exit_code != 0:
            log.warning("unpacking the base model %s ended with code %s", self._unpacking.name, exit_code)
            self._unpacking.note_failure(self._unpacking.failure or _UNKNOWN)
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
            self._unpacking.note_failure(Failure.model_validate(said["failure"]))
        else:
            self._share = said["done"] / said["total"]
