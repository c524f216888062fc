"""The trainer's two voices: lines appended to metrics.jsonl, and what it hears on its standard input.

Knows the records of `run_files.py`. Does not know what is trained.
"""

import threading
import time
from pathlib import Path
from typing import IO, Any, Literal

from engine.run_files import JournalLine

Command = Literal["stop", "pause", "cancel", "gone"]
_SPOKEN: dict[bytes, Command] = {b"stop": "stop", b"pause": "pause", b"cancel": "cancel"}


class Journal:
    """Appends one line at a time; a reader may look at any moment."""

    def __init__(self, file: Path, attempt: int) -> None:
        self._attempt = attempt
        torn = file.exists() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
        self._file = file.open("a", encoding="utf-8")
        if torn:  # an earlier attempt was killed in the middle of a line: ours must not be glued to it
            self._file.write("\n")

    def write(self, **fields: Any) -> None:
        line = JournalLine(attempt=self._attempt, at=time.time(), **fields)
        self._file.write(line.model_dump_json(exclude_none=True) + "\n")
        self._file.flush()


class Commands:
    """Listens on a pipe in a thread of its own; the loop asks between two steps."""

    def __init__(self, descriptor: int = 0) -> None:
        self._command: Command | None = None
        # Unbuffered: a thread waiting in a buffered reader holds a lock that the interpreter wants at exit.
        pipe = open(descriptor, "rb", buffering=0, closefd=False)  # noqa: SIM115
        threading.Thread(target=self._listen, args=(pipe,), daemon=True).start()

    @property
    def latest(self) -> Command | None:
        """What was said last, or "gone" when the supervisor is no more and had said nothing."""
        return self._command

    def is_urgent(self) -> bool:
        """Whether even an evaluation should be dropped."""
        return self._command in ("pause", "cancel", "gone")

    def leave(self) -> None:
        """As if the supervisor were gone: what a signal to end means."""
        self._command = self._command or "gone"

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._command = _SPOKEN.get(line.strip(), self._command)
        self.leave()
