"""How long a person waits from the click to the first point of the curve: a benchmark, run by hand.

    pytest -m slow -s tests/engine/test_click_to_first_point.py

From the HTTP request that starts a run of the bundled model on the sample voice to the first metric that the
API tells. Warm: a trainer stands ready. Cold: none does, as right after the engine's start or between two
runs of a queue. The limits are those of two calm cores; other work on them makes it longer.
"""

import csv
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from engine.contract.records import Example
from engine.workspace import ASSETS

ROUNDS = 5
WARM_SECONDS, COLD_SECONDS = 2.0, 6.0


@pytest.fixture
def engine(sleeping_engine: Any) -> Iterator[Any]:
    """With the number format chosen by itself and checkpoints at their usual pace."""
    sleeping_engine.environment = {"VOICEWRIGHT_PRECISION": "", "VOICEWRIGHT_CHECKPOINT_SECONDS": ""}
    yield sleeping_engine.start()


@pytest.fixture
def dataset(engine: Any) -> str:
    with (ASSETS / "samples" / "outdoor_shop_voice.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    examples = [
        Example(
            prompt=prompt,
            completion=text,
            row=number + 2,
            split="train" if number % 10 else "validation",
        )
        for number, (prompt, text) in enumerate(rows)
    ]
    identifier: str = engine.new_dataset(examples)
    return identifier


def seconds_to_first_point(engine: Any, dataset: str) -> float:
    with engine.client as client:
        recipe = {"method": "lora"}
        begun = time.monotonic()
        body = {"key": f"{time.time_ns():032x}", "dataset_id": dataset, "recipe": recipe}
        run_id = client.post("/runs", json=body).json()["id"]
        while not client.get(f"/runs/{run_id}/metrics").json()["points"]:
            time.sleep(0.05)
        seconds = time.monotonic() - begun
    engine.want(run_id, "cancel")
    engine.wait_for(run_id, "cancelled")
    return seconds


def leave_ready(engine: Any) -> None:
    engine.wait_for_standby()


def take_away(engine: Any) -> None:
    engine.wait_for_standby().kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "limit"),
    [(leave_ready, WARM_SECONDS), (take_away, COLD_SECONDS)],
    ids=["warm", "cold"],
)
def test_the_first_point_is_there_in_seconds(
    engine: Any, dataset: str, prepare: Callable[[Any], None], limit: float
) -> None:
    measured = []
    for _ in range(ROUNDS):
        prepare(engine)
        measured.append(seconds_to_first_point(engine, dataset))
    told = ", ".join(f"{seconds:.2f}" for seconds in sorted(measured))
    print(f"\nclick to first point, {prepare.__name__}: median {median(measured):.2f} s of {told}")
    assert median(measured) < limit
