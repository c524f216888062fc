"""Where a project stands on the way from examples to download, what comes next, and what a step still needs.

Pure: reads records, returns words. Knows neither the pages' files nor how any of it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.contract.records import ACTIVE_STATES, Dataset, Run

Step = Literal["examples", "method", "tuning", "compare", "download"]
STEPS: tuple[Step, ...] = ("examples", "method", "tuning", "compare", "download")
TITLES: dict[Step, str] = {
    "examples": "Examples",
    "method": "Method",
    "tuning": "Tuning",
    "compare": "Compare",
    "download": "Download",
}


@dataclass(frozen=True)
class StepStanding:
    step: Step
    is_done: bool
    missing: str
    """What has to happen first; empty if the step can be entered."""
    mend_at: Step
    """Where the missing thing is done."""

    @property
    def is_open(self) -> bool:
        return not self.missing


@dataclass(frozen=True)
class NextStep:
    step: Step
    label: str
    """Of the one button that leads on."""
    sentence: str
    """Where the project stands."""
    run_id: str | None = None


def finished_runs(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.state == "succeeded"]


def stand(datasets: Sequence[Dataset], runs: Sequence[Run]) -> dict[Step, StepStanding]:
    """Each step: done or not, and what it waits for."""
    has_examples, has_runs, has_voice = bool(datasets), bool(runs), bool(finished_runs(runs))
    needs_voice = "" if has_voice else "Opens when a tuning run has finished."
    has_download = any(run.export.state == "ready" for run in runs)
    mend_voice: Step = "tuning" if has_runs else "method" if has_examples else "examples"
    return {
        "examples": StepStanding("examples", has_examples, "", "examples"),
        "method": StepStanding(
            "method", has_runs, "" if has_examples else "Opens when this voice has examples.", "examples"
        ),
        "tuning": StepStanding(
            "tuning",
            has_voice,
            "" if has_runs else "Opens when you have started a tuning run.",
            "method" if has_examples else "examples",
        ),
        "compare": StepStanding("compare", has_voice, needs_voice, mend_voice),
        "download": StepStanding("download", has_download, needs_voice, mend_voice),
    }


def decide_next(datasets: Sequence[Dataset], runs: Sequence[Run]) -> NextStep:
    """The one thing to do now. Runs and datasets come newest first."""
    if runs:
        return _next_of_run(runs[0], bool(finished_runs(runs)))
    if datasets:
        count = datasets[0].examples_train + datasets[0].examples_validation
        return NextStep(
            "method", "Choose a method", f"{count:,} examples are ready. Nothing has been tuned yet."
        )
    return NextStep("examples", "Add examples", "No examples yet.")


def _next_of_run(run: Run, has_voice: bool) -> NextStep:
    name = f"Run {run.number}"
    if run.state in ACTIVE_STATES:
        return NextStep("tuning", "Watch it learn", f"{name} is learning.", run.id)
    if run.state == "succeeded":
        if run.export.state == "ready":
            return NextStep(
                "compare", "Compare", f"{name} has finished and is ready to take with you.", run.id
            )
        return NextStep("compare", "Compare", f"{name} has finished. Hear what it learnt.", run.id)
    sentences = {
        "queued": f"{name} waits for its turn.",
        "paused": f"{name} is paused.",
        "interrupted": f"{name} was interrupted and goes on by itself.",
        "failed": f"{name} could not finish.",
        "cancelled": f"{name} was cancelled.",
    }
    if run.state in ("failed", "cancelled") and has_voice:
        return NextStep("compare", "Compare", f"{sentences[run.state]} An earlier run has finished.")
    if run.state == "cancelled":
        return NextStep("method", "Choose a method", sentences["cancelled"])
    return NextStep("tuning", "See this run", sentences[run.state], run.id)
