"""What every side of the benchmark is asked to do, and what it tells about it.

Only the standard library: it is read in the environments of the peers as well.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Variant = dict[str, Any]
"""Settings by which the sides of one peer differ."""


@dataclass(frozen=True)
class Task:
    """One method on one model and some rows. The learning itself is the same for every side."""

    model: str
    """Folder of the base model."""
    rows: str
    """JSON lines of `rows.Row`."""
    output: str
    """Folder for the artefact, empty at first."""
    method: str
    epochs: int
    batch_size: int
    learning_rate: float
    examples: int
    seed: int = 0
    rank: int = 16
    layers: int = 2
    virtual_tokens: int = 20

    @property
    def steps(self) -> int:
        return math.ceil(self.examples / self.batch_size) * self.epochs

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), "utf-8")


def read_task(file: str) -> Task:
    return Task(**json.loads(Path(file).read_text("utf-8")))


@dataclass(frozen=True)
class Report:
    """When a side learnt, on the clock of the machine (`time.time()`), and how many steps it took."""

    first_step_at: float
    last_step_at: float
    steps: int

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), "utf-8")


def read_report(file: Path) -> Report:
    return Report(**json.loads(file.read_text("utf-8")))


def read_token_rows(task: Task) -> list[tuple[list[int], list[int]]]:
    """(input ids, labels) of every row: -100 where nothing is learnt, as the peers want it."""
    with Path(task.rows).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        (
            row["input_ids"],
            [
                token if learnt else -100
                for token, learnt in zip(row["input_ids"], row["learnt"], strict=True)
            ],
        )
        for row in rows
    ]
