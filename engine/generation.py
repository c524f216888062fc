"""`python -m engine.generation`: the generator, a long-lived process that answers the supervisor's prompts.

    stdin   {"id", "base_folder", "artefact_folder" or null, "is_adapter",
             "questions": [{"prompt", "turns", "sides"}], "max_tokens", "temperature", "seed"}
                                      one request a line; all that have come are answered side by side
            {"cancel": id}            give that answer up, at the latest after one token
            end of file               the supervisor is gone: exit
    stdout  {"ready": true}           once, after the imports
            {"id", "event": {…}}      fields of AnswerEvent; an answer is over when each side is `done`, or
                                      with a `failure`; a cancelled side is `done` without `ended_by`

Knows the pipe. Does not know how answers are made (`engine/speaking.py`), nor runs, rows, queues or HTTP: who
may ask, and how many wait, is the supervisor's business.
"""

import json
import os
import sys
from collections.abc import Iterable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from engine.device import detect_device
from engine.speaking import Said, Speaking
from engine.spinning import spin_while_free
from engine.tuned_model import LoadedModels


class Inbox:
    """Lines of stdin, read by a thread of its own so that they are seen in the middle of an answer."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def read_all(self, lines: TextIO) -> None:
        for line in lines:
            message = _read_message(line)
            if message:
                self._messages.put(message)
        # An answer in the middle has nobody left to read it: leave without unwinding torch.
        os._exit(0)

    def take(self, wait: bool) -> list[dict[str, Any]]:
        """All that has come since, in order; with `wait` at least one."""
        messages = [self._messages.get()] if wait else []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages


def serve(inbox: Inbox, protocol: TextIO) -> None:
    """Answer whoever asks, for ever; the inbox ends the process."""
    speaking = Speaking(LoadedModels(detect_device().kind))
    _send(protocol, [{"ready": True}])
    while True:
        _listen(inbox.take(wait=True), speaking, protocol)
        with spin_while_free():
            while not speaking.is_silent:
                _tell(protocol, speaking.advance())
                _listen(inbox.take(wait=False), speaking, protocol)


def _listen(messages: list[dict[str, Any]], speaking: Speaking, protocol: TextIO) -> None:
    for message in messages:
        said = speaking.cancel(str(message["cancel"])) if "cancel" in message else speaking.ask(message)
        _tell(protocol, said)


def _tell(protocol: TextIO, said: Iterable[Said]) -> None:
    _send(
        protocol,
        [{"id": id, "event": event.model_dump(mode="json", exclude_unset=True)} for id, event in said],
    )


def _read_message(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _send(protocol: TextIO, messages: list[dict[str, Any]]) -> None:
    protocol.write("".join(json.dumps(message) + "\n" for message in messages))
    protocol.flush()


def main() -> None:
    # Whatever a library prints must not get between the lines of the protocol.
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox = Inbox()
    Thread(target=inbox.read_all, args=(sys.stdin,), daemon=True).start()
    serve(inbox, protocol)


if __name__ == "__main__":
    main()
