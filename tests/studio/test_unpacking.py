"""The terminal says how far the unpacking of the base model is, and what is wrong if it fails."""

import io

from rich.console import Console

from engine.contract.failures import Failure
from engine.contract.records import BundledModelState
from studio.unpacking import wait_for_base_model

FULL = Failure(code="disk_full", what_happened="There is no room.")


class PretendClient:
    """Goes through some states, one with every question."""

    def __init__(self, *states: BundledModelState) -> None:
        self.states = list(states)
        self.asked_again = 0

    def bundled_state(self) -> BundledModelState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def unpack_again(self) -> BundledModelState:
        self.asked_again += 1
        return self.bundled_state()


def wait(*states: BundledModelState) -> tuple[Failure | None, str, PretendClient]:
    words = io.StringIO()
    client = PretendClient(*states)
    console = Console(file=words, force_terminal=True, width=100)
    return wait_for_base_model(client, console), words.getvalue(), client  # type: ignore[arg-type]


def test_nothing_is_said_when_it_is_there() -> None:
    failure, words, _ = wait(BundledModelState(state="ready", share=1.0))
    assert (failure, words) == (None, "")


def test_it_shows_how_far_it_is_until_it_is_there() -> None:
    shares = (0.0, 0.25, 0.4)
    unpacking = [BundledModelState(state="unpacking", share=share) for share in shares]
    failure, words, _ = wait(*unpacking, BundledModelState(state="ready", share=1.0))
    assert failure is None
    assert "Unpacking the base model, once" in words
    assert "40%" in words


def test_a_failure_of_an_earlier_start_is_tried_once_more() -> None:
    failed = BundledModelState(state="failed", failure=FULL)
    failure, _, client = wait(failed, failed)
    assert failure == FULL
    assert client.asked_again == 1
    assert wait(failed, BundledModelState(state="ready", share=1.0))[0] is None
