"""Waits on the terminal until the base model that comes with the product is unpacked, which is done once."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from engine.contract.failures import Failure
from studio.engine_client import EngineClient

POLL_SECONDS = 0.1


def wait_for_base_model(client: EngineClient, console: Console) -> Failure | None:
    """Returns what went wrong, if anything did; raises EngineFailure if the engine does not answer."""
    state = client.bundled_state()
    if state.state == "failed":
        # Of an earlier start: what was missing may be there by now.
        state = client.unpack_again()
    show = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        console=console,
        transient=True,
        disable=state.state == "ready",
    )
    with show:
        bar = show.add_task("Unpacking the base model, once:", total=1.0)
        while state.state == "unpacking":
            show.update(bar, completed=state.share)
            time.sleep(POLL_SECONDS)
            state = client.bundled_state()
    return state.failure
