"""`python -m engine --workspace DIR`: the supervisor, the one process that serves a workspace.

Takes the workspace's lock, opens its database, publishes engine.json while it serves, and leaves tidily. It
never imports torch: a model that crashes ends one run or one answer, not the engine. Does not know any of the
parts it puts together.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from engine.adding import ModelAdder
from engine.answering import Answering
from engine.calibrating import Calibrator
from engine.contract.failures import EngineFailure
from engine.contract.records import BUNDLED_MODEL
from engine.curve import Curves
from engine.dataset import remove_unfinished
from engine.exporting import Exporter
from engine.guard import Guard
from engine.planning import Planner
from engine.processes import on_end_signals, take_lock
from engine.recovery import open_store
from engine.server import VERSION, Parts, ShutDown, build_app
from engine.unpacker import Unpacker
from engine.worker import Worker
from engine.workspace import Workspace, write_durably

log = logging.getLogger("engine")

EXIT_UNUSABLE = 1
EXIT_ALREADY_SERVED = 3
STREAMS_END_SECONDS = 3
LEAVING_SECONDS = 40.0


def main(arguments: list[str] | None = None) -> int:
    options = _read_options(arguments)
    workspace = Workspace(options.workspace.expanduser().resolve())
    try:
        workspace.create()
        if not _is_ours(workspace):
            print("An engine already serves this workspace.", file=sys.stderr)
            return EXIT_ALREADY_SERVED
        _start_log(workspace)
        return serve(workspace, calibrates=options.calibrate)
    except EngineFailure as error:
        log.error("%s", error.failure.sentence)
        print(error.failure.sentence, file=sys.stderr)
        return EXIT_UNUSABLE


def _is_ours(workspace: Workspace) -> bool:
    """Take the workspace's lock for as long as this process lives.

    While another engine holds it without serving, that one is leaving or just beginning: it is waited for.
    """
    deadline = time.monotonic() + LEAVING_SECONDS
    while take_lock(workspace.engine_lock) is None:
        if workspace.engine_address.exists() or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    # What an engine that was killed has left behind.
    workspace.engine_address.unlink(missing_ok=True)
    remove_unfinished(workspace.datasets)
    return True


def serve(workspace: Workspace, calibrates: bool) -> int:
    """Serve until someone asks to leave; the caller holds the workspace's lock."""
    token = secrets.token_urlsafe(32)
    parts = _put_together(workspace, token, calibrates)
    shut_down = ShutDown()
    with _loopback_socket() as listener:
        port = listener.getsockname()[1]
        app = Guard(build_app(parts, shut_down), token, port)
        server = Server(app, parts, lambda: _publish(workspace, port, token))
        shut_down.ask = server.leave
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            workspace.engine_address.unlink(missing_ok=True)
            parts.adder.close()
            parts.worker.close()
            parts.store.close()
    log.info("the engine has left")
    return 0


class Server(uvicorn.Server):
    """uvicorn, with our signals, and engine.json published only once requests are answered."""

    def __init__(self, app: Guard, parts: Parts, publish: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=STREAMS_END_SECONDS,
        )
        super().__init__(config)
        self._parts = parts
        self._publish = publish

    def leave(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would raise the signal again after a tidy end, and exit with its number.
        on_end_signals(self.leave)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._parts.calibrator.want(BUNDLED_MODEL)
        self._parts.worker.start()
        self._publish()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._parts.workspace.engine_address.unlink(missing_ok=True)
        await self._parts.answering.close()
        await super().shutdown(sockets=sockets)


def _put_together(workspace: Workspace, token: str, calibrates: bool) -> Parts:
    store = open_store(workspace)
    curves = Curves()
    exporter = Exporter(workspace, store)
    calibrator = Calibrator(workspace, enabled=calibrates)
    unpacker = Unpacker(workspace)
    worker = Worker(workspace, store, curves, exporter, calibrator, unpacker)
    answering = Answering(workspace, store)
    worker.is_in_use = answering.is_in_use
    worker.is_answering = answering.is_busy
    return Parts(
        workspace=workspace,
        store=store,
        curves=curves,
        worker=worker,
        exporter=exporter,
        calibrator=calibrator,
        unpacker=unpacker,
        planner=Planner(workspace, store, calibrator),
        answering=answering,
        adder=ModelAdder(workspace),
        token=token,
    )


def _loopback_socket() -> socket.socket:
    """Port 0: whichever is free, so that nobody can wait on ours."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    return listener


def _publish(workspace: Workspace, port: int, token: str) -> None:
    address = {"port": port, "token": token, "pid": os.getpid(), "version": VERSION}
    write_durably(workspace.engine_address, json.dumps(address).encode(), mode=0o600)
    log.info("the engine serves on port %d", port)


def _start_log(workspace: Workspace) -> None:
    """Into logs/engine.log always; onto the terminal too if there is one."""
    handlers: list[logging.Handler] = [
        RotatingFileHandler(workspace.engine_log, maxBytes=5_000_000, backupCount=2, encoding="utf-8")
    ]
    if sys.stderr is not None and sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    logging.basicConfig(
        level=logging.INFO, handlers=handlers, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _read_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m engine", description="Serve one workspace on this machine."
    )
    parser.add_argument("--workspace", type=Path, required=True, help="folder of the projects")
    parser.add_argument(
        "--no-calibration",
        dest="calibrate",
        action="store_false",
        help="do not measure this machine; estimates then stay wide",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
