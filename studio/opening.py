"""Opens the studio: engine, web server, browser, and an orderly end at Ctrl-C."""

import signal
import socket
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from types import FrameType

from rich.console import Console

from studio import server
from studio.claim import Claim
from studio.engine_client import connect
from studio.engine_process import EngineKeeper, ensure_engine, stop_engine
from studio.unpacking import wait_for_base_model

DEFAULT_PORT = 8501
PORTS_TRIED = 20
BROWSER_DELAY_SECONDS = 0.3
console = Console(stderr=True, highlight=False)


def open_studio(workspace: Path, port: int | None, browser: bool) -> int:
    """Serve until Ctrl-C. Returns the exit code: 1 if the port that was asked for is taken.

    Raises EngineFailure if the workspace cannot be used.
    """
    claim = Claim(workspace)
    if running := claim.take():
        console.print(f"Voicewright is already open for this folder: {running}")
        _open_browser(running, browser)
        return 0
    try:
        listener = take_port(port)
        if listener is None:
            console.print(f"Port {port} is taken by another program. Choose another one with --port.")
            return 1
        _serve(workspace, claim, listener, browser)
    except KeyboardInterrupt:
        pass
    finally:
        claim.release()
    console.print("Closing. A run in progress is saved first and goes on at the next start.")
    stop_engine(connect(workspace))
    return 0


def _serve(workspace: Path, claim: Claim, listener: socket.socket, browser: bool) -> None:
    _interrupt_on_termination()
    with ThreadPoolExecutor(1) as beside:
        engine = beside.submit(ensure_engine, workspace)
        app = server.build_app(workspace, claim.secret)
        client = engine.result()
    if failure := wait_for_base_model(client, console):
        console.print(failure.sentence)
    url = f"http://{server.LOOPBACK}:{listener.getsockname()[1]}"
    claim.publish(url)
    console.print(f"Voicewright is open at {url}  (Ctrl-C ends it)")
    _open_browser(url, browser)
    with EngineKeeper(workspace):
        server.serve(app, listener)


def take_port(port: int | None) -> socket.socket | None:
    """The port that was asked for or None; without a wish the first free one from 8501 on."""
    wanted = [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED), 0] if port is None else [port]
    for candidate in wanted:
        try:
            return server.bind(candidate)
        except OSError:
            continue
    return None


def _open_browser(url: str, wanted: bool) -> None:
    """A moment later, so that the page is served when the browser asks for it."""
    if wanted:
        Timer(BROWSER_DELAY_SECONDS, webbrowser.open, [url]).start()


def _interrupt_on_termination() -> None:
    """Uvicorn re-raises a signal when it has ended; SIGTERM would then skip our own orderly end."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
