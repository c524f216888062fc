"""Threads that wait for their next part spin while the processor is free, and sleep while others want it.

One that sleeps takes up to 0.1 ms to wake, and is woken a thousand times a step; one that spins is there at
once. But beside a busy neighbour it wastes the time that it is given, and everything waits for it. GNU's
OpenMP lets no thread spin while there are more of them than processors (libgomp manual, GOMP_SPINCOUNT), so
further teams, which sleep, are all it takes to make the first one sleep too. Other runtimes are left as they
are. Knows processor times. Does not know what is computed.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil
import torch

LOOK_SECONDS = 0.5
TOLERATED = 0.25
"""Of a core: so much others may use before the threads sleep."""
_ELEMENTS = 65_536
"""For each thread: torch shares out a loop from half as many on."""


@dataclass(frozen=True)
class Times:
    """In seconds: by the clock, and what processors have worked, in all and for this process."""

    clock: float
    worked: float
    ours: float

    def cores_of_others(self, later: "Times") -> float:
        """How many other programs have used on average until `later`."""
        return (later.worked - self.worked - (later.ours - self.ours)) / (later.clock - self.clock)


class Sleepers:
    """Teams of threads that sleep, so many that with the first one they outnumber the processors."""

    def __init__(self, processors: int, threads: int) -> None:
        self._leave = Event()
        teams = -(-(processors + 1 - threads) // (threads - 1))
        self._threads = [Thread(target=self._sleep, args=(threads,), daemon=True) for _ in range(teams)]
        for thread in self._threads:
            thread.start()

    def _sleep(self, threads: int) -> None:
        # OpenMP keeps a team for each thread that has ever shared out a loop, until that thread ends.
        torch.ones(threads * _ELEMENTS).add_(1.0)
        self._leave.wait()

    def send_away(self) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def spin_while_free() -> Iterator[None]:
    """Meanwhile a thread looks every now and then whether others use the processors."""
    if not _can_be_crowded():
        yield
        return
    over = Event()
    watching = Thread(target=_watch, args=(over,), daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _can_be_crowded() -> bool:
    """With more than twice as many processors as threads there is always room."""
    threads = torch.get_num_threads()
    return sys.platform == "linux" and threads > 1 and len(os.sched_getaffinity(0)) <= 2 * threads


def _watch(over: Event) -> None:
    processors, threads = os.sched_getaffinity(0), torch.get_num_threads()
    room = len(processors) - threads + TOLERATED
    sleepers: Sleepers | None = None
    before = _read_times(processors)
    while not over.wait(LOOK_SECONDS):
        now = _read_times(processors)
        is_crowded = before.cores_of_others(now) > room
        before = now
        if is_crowded and sleepers is None:
            sleepers = Sleepers(len(processors), threads)
        elif not is_crowded and sleepers is not None:
            sleepers.send_away()
            sleepers = None
    if sleepers is not None:
        sleepers.send_away()


def _read_times(processors: set[int]) -> Times:
    every = psutil.cpu_times(percpu=True)
    chosen = [one for number, one in enumerate(every) if number in processors]
    worked = sum(one.user + one.nice + one.system + one.irq + one.softirq for one in chosen)
    ours = psutil.Process().cpu_times()
    return Times(time.monotonic(), worked, ours.user + ours.system)
