"""Runs one side on one task in a process of its own and measures it from outside.

Knows processes and clocks. Does not know what the sides do.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import ours
from tests.benchmarks.rows import read_rows
from tests.benchmarks.sides import OURS, SIDES, command, environment, our_command, our_environment
from tests.benchmarks.task import Report, Task, read_report

_TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class Run:
    """One run of one side. The artefact is on disk when it ends."""

    model: str
    method: str
    epochs: int
    side: str
    tokens: int
    """Real ones, without padding, over all epochs."""
    steps: int
    seconds: float
    """From the beginning of the first step to the end of the last."""
    startup_seconds: float
    """From the start of the process to the first step."""
    whole_seconds: float
    """From the start of the process to its end."""
    peak_bytes: int
    loss: float | None = None
    """Of the artefact on all rows; measured in the first round."""

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Finished:
    started_at: float
    ended_at: float
    peak_bytes: int


class SideError(Exception):
    """A side ended badly; the end of what it said."""


def run_side(name: str, python: str, model: str, task: Task) -> Run:
    """`task.output` lies in a folder of this run's own."""
    folder = Path(task.output).parent
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    if name == OURS:
        run = ours.order_run(task)
        finished = run_process(our_command(str(folder)), our_environment(), log)
        report = ours.read_run(run)
    else:
        task.write(folder / "task.json")
        side, report_file = SIDES[name], folder / "report.json"
        called = command(side, python, str(folder / "task.json"), str(report_file))
        finished = run_process(called, environment(side, str(folder / "cache")), log)
        report = read_report(report_file)
    return build_run(name, model, task, report, finished)


def build_run(name: str, model: str, task: Task, report: Report, finished: Finished) -> Run:
    if report.steps != task.steps:
        raise SideError(f"{name} took {report.steps} steps instead of {task.steps}")
    return Run(
        model=model,
        method=task.method,
        epochs=task.epochs,
        side=name,
        tokens=task.epochs * sum(len(row.input_ids) for row in read_rows(Path(task.rows))),
        steps=report.steps,
        seconds=report.last_step_at - report.first_step_at,
        startup_seconds=report.first_step_at - finished.started_at,
        whole_seconds=finished.ended_at - finished.started_at,
        peak_bytes=finished.peak_bytes,
    )


def run_process(command: list[str], environment: dict[str, str], log: Path) -> Finished:
    """Wait for its end. Its standard input stays open meanwhile: our trainer leaves when that closes."""
    started_at = time.time()
    with log.open("wb") as words:
        process = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdin=subprocess.PIPE, stdout=words, stderr=words
        )
        _, status, usage = os.wait4(process.pid, 0)
        ended_at = time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdin:
        process.stdin.close()
    if process.returncode:
        raise SideError(log.read_text("utf-8", errors="replace")[-_TAIL_CHARACTERS:])
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Finished(started_at, ended_at, int(kilobytes * 1024))
