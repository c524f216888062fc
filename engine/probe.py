"""Times the trainer's own work with one base model: starting, steps, evaluations, saving, and their memory.

Drives `training.Attempt` on made-up examples of three lengths, in a folder that is thrown away. Knows the
trainer and through it torch. Does not know what is estimated from the figures.
"""

import ctypes
import gc
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median
from uuid import uuid4

import psutil
import torch

from engine.batches import Batch
from engine.calibration import Calibration, MethodRates, read_facts
from engine.contract.records import METHOD_NAMES, Example, Machine, MethodName, Recipe, Split
from engine.dataset import fingerprint_of, render_examples
from engine.device import ChosenPrecision, Device, choose_precision, detect_device, peak_memory_bytes
from engine.journal import Commands, Journal
from engine.kernels import compiling_seconds
from engine.machine import Precision
from engine.methods import get_method
from engine.methods.flops import Flops, Load
from engine.models.inspect import read_shape
from engine.run_files import Order
from engine.spinning import spin_while_free
from engine.training import Attempt
from engine.work import Computing, TokenLengths, Tokens, count_work, load_batch
from engine.workspace import RunFolder

SENTENCE = (
    "a warm light jacket for long walks in the hills keeps you dry when rain and wind come up "
    "from the valley while its two pockets hold a map some bread and the small things of a day"
)
WORDS_PER_EXAMPLE = (10, 30, 70)
PROMPT_SHARE = 0.3
VALIDATION_EXAMPLES = 16
ROUNDS = 4
"""Each length comes once a round; the first round touches memory and does not count."""
SECONDS_PER_VISIT = 1.0
"""After which no further round begins, once every length has counted."""
PARAMETERS_PER_BATCH: dict[Precision, int] = {"fp32": 160_000_000, "bf16": 640_000_000}
"""Larger models are timed with smaller batches, so that a step stays around a second. In bf16 it is over
sooner, and the rows of a product are rounded up further: with few of them all lengths would cost the same."""
LEAST_SPREAD = 1.5
"""So many times the shortest step the longest must be, for a line through both to say anything."""
EVALUATIONS = 2


@dataclass(frozen=True)
class Start:
    """What a trainer pays before it learns, as the first of this process paid it."""

    seconds: float
    """Before the first step, and by how much that is slower than the second."""
    shape_seconds: float
    """By how much the first step on a later batch is slower than the second on the same."""
    resident_bytes: int
    precision: Precision
    precision_reason: str


@dataclass(frozen=True)
class Timing:
    """One method when everything is warm. Work is counted operations."""

    steps: dict[float, list[float]]
    """Work of a step -> the seconds of each try."""
    evaluations: list[float]
    evaluation_work: float
    finishing: float
    memory_overhead_bytes: int


def measure(workspace: Path, model_folder: Path, fingerprint: str, machine: Machine) -> Calibration:
    """Every method, the one that needs least memory first, so that each peak is its own.

    The process has got ready as a trainer does, and done nothing else.
    """
    # Compiled is once and for all.
    loading = seconds_since_process_start() - waited_seconds() - compiling_seconds()
    load_average = os.getloadavg()[0]
    with spin_while_free(), _scratch_folder(workspace) as folder:
        probe = Probe(folder, model_folder, fingerprint)
        start = probe.start()
        by_memory = sorted(METHOD_NAMES, key=probe.count_bytes)
        timings = {method: probe.time_method(method, start.resident_bytes) for method in by_memory}
        # A bad moment of the machine must not make one method look slow: each is visited at another time too.
        for method in by_memory:
            probe.time_again(method, timings[method])
    return Calibration(
        fingerprint=fingerprint,
        facts=read_facts(machine),
        measured_at=time.time(),
        load_average=load_average,
        threads=torch.get_num_threads(),
        precision=start.precision,
        precision_reason=start.precision_reason,
        loading_seconds=loading,
        shape_seconds=start.shape_seconds,
        resident_bytes=start.resident_bytes,
        rates={name: _rates(timing, start.seconds) for name, timing in timings.items()},
    )


class Probe:
    """The made-up examples in a folder, and attempts on them."""

    def __init__(self, folder: Path, model_folder: Path, fingerprint: str) -> None:
        self._folder, self._model_folder, self._fingerprint = folder, model_folder, fingerprint
        self._shape = read_shape(model_folder)
        # Once for all: on a small model the formats are so near that another attempt might choose the other.
        self._choosing_seconds = _timed(self._choose_precision)
        self._batch_size = min(8, max(1, PARAMETERS_PER_BATCH[self._chosen.name] // self._shape.parameters))
        lines = render_examples([*self._examples("train"), *self._examples("validation")])
        self._dataset_fingerprint = fingerprint_of(lines)
        self._dataset_file.write_bytes(lines)
        # Its end is never written to: the probe's attempts are told nothing.
        self._pipe, self._open_end = os.pipe()

    @property
    def _dataset_file(self) -> Path:
        return self._folder / "examples.jsonl"

    def start(self) -> Start:
        attempt = self._attempt("all-layers")
        prepared = _timed(attempt.prepare)
        resident = _resident_bytes(attempt.device)
        resumed = _timed(attempt.resume)
        first, *later = (self._slower_at_first(attempt, number) for number in range(attempt.steps_per_epoch))
        return Start(
            seconds=prepared + self._choosing_seconds + resumed + first,
            shape_seconds=mean(later),
            resident_bytes=resident,
            precision=self._chosen.name,
            precision_reason=self._chosen.reason,
        )

    def _choose_precision(self) -> None:
        self._chosen: ChosenPrecision = choose_precision(
            detect_device(), self._shape.hidden_size, self._shape.intermediate_size
        )

    def _slower_at_first(self, attempt: Attempt, step: int) -> float:
        seconds = []
        for _ in range(2):
            attempt.progress.step = step
            seconds.append(_timed(attempt.take_step))
        return max(0.0, seconds[0] - seconds[1])

    def time_method(self, method: MethodName, resident_bytes: int) -> Timing:
        _release_memory()
        attempt = self._attempt(method)
        attempt.prepare()
        _reset_peak(attempt.device)
        attempt.resume()
        steps = self._time_steps(attempt)
        evaluations = [_timed(attempt.evaluate) for _ in range(EVALUATIONS)]
        peak = _peak_bytes(attempt.device)
        counted = self._count_bytes(attempt)
        return Timing(
            steps=steps,
            evaluations=evaluations,
            evaluation_work=self._evaluation_work(attempt),
            finishing=_timed(attempt.save_checkpoint) + _timed(attempt.publish_best),
            memory_overhead_bytes=0 if peak is None else max(0, peak - resident_bytes - counted),
        )

    def time_again(self, method: MethodName, timing: Timing) -> None:
        """Further tries, added to those of `timing`."""
        attempt = self._attempt(method)
        attempt.prepare()
        attempt.resume()
        for work, seconds in self._time_steps(attempt).items():
            timing.steps[work] += seconds
        if attempt.activations:
            # The first evaluation runs the frozen layers, which is counted by itself.
            attempt.evaluate()
        timing.evaluations.append(_timed(attempt.evaluate))

    def count_bytes(self, method: MethodName) -> int:
        """Of an attempt on examples as long as these, near enough to put the methods in order."""
        words = [Tokens(0, 2 * count) for count in WORDS_PER_EXAMPLE]
        computing = Computing(in_rows=True, precision="fp32")
        return count_work(
            self._shape, self._recipe(method), TokenLengths(words, words), computing
        ).working_bytes

    def _count_bytes(self, attempt: Attempt) -> int:
        train = [Tokens(tokens - learnt, learnt) for tokens, learnt in attempt.train_sizes]
        lengths = TokenLengths(train, train)
        return count_work(self._shape, attempt.recipe, lengths, self._computing(attempt)).working_bytes

    def _time_steps(self, attempt: Attempt) -> dict[float, list[float]]:
        tries: dict[float, list[float]] = {}
        deadline = time.monotonic() + SECONDS_PER_VISIT
        for number in range(ROUNDS * attempt.steps_per_epoch):
            round_number, position = divmod(number, attempt.steps_per_epoch)
            if round_number > 1 and position == 0 and time.monotonic() > deadline:
                break
            work = self._step_work(attempt, attempt.batch_after(number))
            seconds = _timed(attempt.take_step)
            if round_number:
                tries.setdefault(work, []).append(seconds)
        return tries

    def _step_work(self, attempt: Attempt, batch: Batch) -> float:
        flops, load, before = self._count(attempt, batch)
        return flops.forward(load) + flops.backward(load) + flops.per_step - before

    def _evaluation_work(self, attempt: Attempt) -> float:
        work = 0.0
        for rows in attempt.validation:
            flops, load, before = self._count(attempt, attempt.make_batch("validation", rows))
            work += flops.forward(load) - before
        return work

    def _count(self, attempt: Attempt, batch: Batch) -> tuple[Flops, Load, float]:
        """And what of the frozen layers was done before, where their activations are kept."""
        flops = attempt.method.count_flops(self._shape, attempt.recipe)
        computing, learnt = self._computing(attempt), batch.targets.numel()
        load = load_batch(batch.lengths, learnt, batch.shared, flops, computing)
        return flops, load, flops.frozen(load) * computing.in_rows

    def _computing(self, attempt: Attempt) -> Computing:
        return Computing.on(attempt.device.kind, self._shape, attempt.progress.precision)

    def _examples(self, split: Split) -> list[Example]:
        lengths = [count for count in WORDS_PER_EXAMPLE for _ in range(self._batch_size)]
        if split == "validation":
            lengths = [WORDS_PER_EXAMPLE[-1]] * VALIDATION_EXAMPLES
        # No two begin alike: what texts share costs only once.
        return [
            Example(
                prompt=_text(int(count * PROMPT_SHARE), first),
                completion=_text(count - int(count * PROMPT_SHARE)),
                split=split,
            )
            for first, count in enumerate(lengths)
        ]

    def _recipe(self, method: MethodName) -> Recipe:
        asked = Recipe(method=method, epochs=ROUNDS, batch_size=self._batch_size, learning_rate=1e-5)
        return get_method(method).build_recipe(asked, len(WORDS_PER_EXAMPLE) * self._batch_size, self._shape)

    def _attempt(self, method: MethodName) -> Attempt:
        run = RunFolder(self._folder / uuid4().hex)
        run.root.mkdir()
        order = Order(
            run_id=run.root.name,
            attempt=1,
            recipe=self._recipe(method),
            base_model_folder=self._model_folder,
            base_model_fingerprint=self._fingerprint,
            dataset_file=self._dataset_file,
            dataset_fingerprint=self._dataset_fingerprint,
        )
        return Attempt(run, order, Commands(self._pipe), Journal(run.journal, 1), chosen=self._chosen)


def _rates(timing: Timing, startup_seconds: float) -> MethodRates:
    steps = [(work, median(seconds)) for work, seconds in timing.steps.items()]
    step_seconds, flops_per_second = fit_line(steps)
    return MethodRates(
        startup_seconds=startup_seconds,
        step_seconds=step_seconds,
        training_flops_per_second=flops_per_second,
        evaluation_flops_per_second=timing.evaluation_work / median(timing.evaluations[1:]),
        finishing_seconds=timing.finishing,
        memory_overhead_bytes=timing.memory_overhead_bytes,
    )


def fit_line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """(seconds each step costs whatever its size, work per second) through (work, seconds), by least squares.

    Where noise bends the line below zero, or all steps are as long, all is put on the work.
    """
    mean_work = sum(work for work, _ in points) / len(points)
    mean_seconds = sum(seconds for _, seconds in points) / len(points)
    spread = sum((work - mean_work) ** 2 for work, _ in points)
    slope = sum((work - mean_work) * (seconds - mean_seconds) for work, seconds in points) / (spread or 1.0)
    constant = mean_seconds - slope * mean_work
    works = [work for work, _ in points]
    if slope <= 0 or constant < 0 or max(works) < LEAST_SPREAD * min(works):
        return 0.0, mean_work / mean_seconds
    return constant, 1 / slope


def _text(words: int, first: int = 0) -> str:
    return " ".join(islice(cycle(SENTENCE.split()), first, first + words))


# --- seconds ----------------------------------------------------------------------------------------------


def _timed(action: Callable[[], object]) -> float:
    """Seconds on a calm machine: without what our threads waited for a processor that others had.

    Two threads may have waited at the same time, so no less than all processors fully used would take.
    """
    begun, waited, worked = time.monotonic(), waited_seconds(), time.process_time()
    action()
    seconds = time.monotonic() - begun
    calm = seconds - (waited_seconds() - waited)
    return min(seconds, max(calm, (time.process_time() - worked) / torch.get_num_threads()))


def waited_seconds() -> float:
    """How long the threads of this process stood in line for a processor; 0 where the system does not say."""
    total = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        # A thread may end while we look.
        with suppress(OSError, ValueError, IndexError):
            total += int(file.read_text().split()[1])
    return total / 1e9


def seconds_since_process_start() -> float:
    created: float = psutil.Process().create_time()
    return max(0.0, time.time() - created)


@contextmanager
def _scratch_folder(workspace: Path) -> Iterator[Path]:
    """Gone afterwards; what a killed probe left goes first."""
    for left in workspace.glob(".probe-*"):
        shutil.rmtree(left)
    folder = workspace / f".probe-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- memory -----------------------------------------------------------------------------------------------


def _resident_bytes(device: Device) -> int:
    return torch.cuda.memory_allocated() if device.kind == "cuda" else int(psutil.Process().memory_info().rss)


def _reset_peak(device: Device) -> None:
    if device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        # proc(5): "5" sets the peak back to what is resident now.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes(device: Device) -> int | None:
    """Since the last reset; None where the system cannot reset it."""
    if device.kind == "cuda":
        return peak_memory_bytes(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else None


def _release_memory() -> None:
    """What the attempt before has left goes back to the system, so that it does not count for the next."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
