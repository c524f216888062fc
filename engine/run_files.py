"""What supervisor and trainer say to each other through files and one pipe.

    supervisor -> trainer   order.json, then lines on the trainer's stdin: its assignment with the run's lock
                            and log as open files, later "stop", "pause" or "cancel";
                            end of file means that the supervisor is gone: certify a checkpoint and exit
    trainer -> supervisor   metrics.jsonl (appended, one JSON object a line), result.json (once, last)

    supervisor -> export    export-order.json; `python -m engine.export RUN_FOLDER` then tells how it
                            stands in export.json (contract `Export`) and leaves voice.zip when ready

The trainer is `python -m engine.trainer WORKSPACE`; it may have been started before there was a run. One that
ends without a result.json of its attempt was killed.
"""

from pathlib import Path
from typing import Literal

from engine.contract.failures import Failure
from engine.contract.records import BaseModelInfo, Dataset, Metric, Recipe, Record, Run


class Assignment(Record):
    """Which run a trainer's process shall work on."""

    run_folder: Path
    ordered_at: float
    """On the monotonic clock, which all processes share."""


class Order(Record):
    """Everything one attempt needs; `recipe` has every default filled in."""

    run_id: str
    attempt: int
    recipe: Recipe
    base_model_folder: Path
    base_model_fingerprint: str
    dataset_file: Path
    dataset_fingerprint: str
    brief: str = ""
    """What the brand's rules ask of a text, as an instruction (`brief.py`)."""


class JournalLine(Record):
    """One line of metrics.jsonl: exactly one of the optional fields is set."""

    attempt: int
    at: float
    phase: Literal["preparing", "training", "finishing"] | None = None
    steps: int | None = None
    """Optimizer steps planned, told once per attempt before the first step."""
    metric: Metric | None = None
    resumed_from_step: int | None = None
    seconds_left: float | None = None
    """Told with every metric's line that has a train loss."""


class Result(Record):
    """How one attempt ended. `interrupted` and `paused` leave a certified checkpoint to go on from."""

    attempt: int
    outcome: Literal["succeeded", "paused", "cancelled", "interrupted", "failed"]
    stopped_because: Literal["finished", "early_stopping", "stopped"] | None = None
    steps: int = 0
    best_step: int | None = None
    validation_loss_base: float | None = None
    validation_loss: float | None = None
    seconds: float = 0.0
    """Working seconds over all attempts, from the order to the artefact on disk."""
    peak_memory_bytes: int = 0
    exact_resume: bool = True
    """False if this attempt went on from a checkpoint made with other libraries, threads or processor."""
    failure: Failure | None = None


class ExportOrder(Record):
    """Everything a download is made from, besides the run's artefact."""

    project_name: str
    run: Run
    dataset: Dataset
    dataset_file: Path
    base_model_folder: Path
    base_model: BaseModelInfo
    include_base: bool
    """Whether the base travels inside the download."""
