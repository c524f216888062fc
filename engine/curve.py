"""Reads what trainers write into metrics.jsonl: the curve so far and how far the newest attempt has come.

Reads only what was appended since the last look. A torn line is dropped; of a step told by several attempts
the last telling counts. Does not know states, processes or the database.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import ValidationError

from engine.contract.records import Metric
from engine.run_files import JournalLine

CURVES_IN_MEMORY = 64
STEPS_FOR_MEDIAN = 40
Phase = Literal["preparing", "training", "finishing"]


@dataclass
class Curve:
    """One run's metrics.jsonl, as far as it has been read."""

    file: Path
    attempt: int = 0
    phase: Phase | None = None
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    lines: int = 0
    _points: dict[int, Metric] = field(default_factory=dict)
    _read_bytes: int = 0

    @property
    def points(self) -> list[Metric]:
        """Each step once, in order."""
        return [self._points[step] for step in sorted(self._points)]

    @property
    def median_step_seconds(self) -> float:
        """Of the steps told lately; 0 while there are fewer than two."""
        times = [
            (after.seconds - before.seconds) / (after.step - before.step)
            for before, after in pairwise(self.points[-STEPS_FOR_MEDIAN:])
            if after.attempt == before.attempt
        ]
        return median(times) if times else 0.0

    def refresh(self) -> None:
        """Take in the whole lines that were appended since."""
        try:
            with self.file.open("rb") as file:
                file.seek(self._read_bytes)
                appended = file.read()
        except FileNotFoundError:
            return
        whole = appended.rfind(b"\n") + 1
        self._read_bytes += whole
        for line in appended[:whole].split(b"\n"):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            told = JournalLine.model_validate_json(line)
        except ValidationError:
            return
        self.lines += 1
        if told.attempt != self.attempt:
            self.attempt, self.phase, self.seconds_left = told.attempt, None, None
        self.phase = told.phase or self.phase
        self.steps = told.steps or self.steps
        if told.seconds_left is not None:
            self.seconds_left = told.seconds_left
        if told.resumed_from_step is not None:
            self._go_back_to(told.resumed_from_step)
        if told.metric is not None:
            self._add(told.metric)

    def _go_back_to(self, step: int) -> None:
        """Steps after the checkpoint are taken again: what was told of them no longer holds."""
        self.step = step
        self._points = {taken: point for taken, point in self._points.items() if taken <= step}

    def _add(self, point: Metric) -> None:
        self.step = max(self.step, point.step)
        known = self._points.get(point.step)
        if known and known.attempt == point.attempt:
            told = point.model_dump(
                include={"train_loss", "validation_loss", "learning_rate"}, exclude_none=True
            )
            point = known.model_copy(update=told)
        self._points[point.step] = point


class Curves:
    """The curves looked at lately, shared by the threads that answer requests and the worker's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._curves: OrderedDict[Path, Curve] = OrderedDict()

    def read(self, file: Path) -> Curve:
        """The curve in `file` as it stands now; a copy that does not change under its reader."""
        with self._lock:
            curve = self._curves.setdefault(file, Curve(file))
            self._curves.move_to_end(file)
            while len(self._curves) > CURVES_IN_MEMORY:
                self._curves.popitem(last=False)
            curve.refresh()
            return replace(curve, _points=dict(curve._points))
