"""Threads are awake between two products while the cores are free, and asleep while others want them."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from engine import spinning
from engine.processes import child_environment
from engine.spinning import Times, spin_while_free

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere runtimes are left as they are")

# Of a process whose threads, as many as there are processors, would spin for seconds after every product.
WAITING = """
import time
import torch
from engine.spinning import Sleepers

def work_in_vain():
    torch.ones(1_000_000).add_(1.0)
    begun = time.process_time()
    time.sleep(0.3)
    return time.process_time() - begun

alone = work_in_vain()
sleepers = Sleepers({threads}, {threads})
# They lie down beside this thread.
time.sleep(0.2)
beside = work_in_vain()
sleepers.send_away()
print(alone, beside, work_in_vain())
"""


@linux
def test_beside_sleepers_no_thread_spins() -> None:
    threads = len(os.sched_getaffinity(0))
    if threads < 2:
        pytest.skip("one thread waits for nobody")
    spinning_long = {"GOMP_SPINCOUNT": "1000000000", "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", WAITING.format(threads=threads)],
        cwd=ROOT,
        env=child_environment(threads, trains=True) | spinning_long,
        capture_output=True,
        text=True,
        check=True,
    )
    alone, beside, afterwards = map(float, done.stdout.split())
    assert beside < 0.03
    assert min(alone, afterwards) > 0.1


def test_what_others_use_is_all_that_was_worked_less_ones_own() -> None:
    assert Times(10.0, 100.0, 5.0).cores_of_others(Times(12.0, 103.5, 7.0)) == 0.75


@linux
def test_they_sleep_while_a_neighbour_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads on two processors; times as they are read, half a second apart each."""
    told: list[str] = []
    looked = Event()
    cores_of_others = [0.0, 0.1, 0.9, 1.0, 0.2, 0.0]
    clock = count()
    worked = 0.0

    class Told:
        def __init__(self, processors: int, threads: int) -> None:
            told.append(f"sleep {processors} {threads}")

        def send_away(self) -> None:
            told.append("spin")

    def read(_: set[int]) -> Times:
        nonlocal worked
        number = next(clock)
        if 0 < number <= len(cores_of_others):
            worked += cores_of_others[number - 1]
            told.append(str(cores_of_others[number - 1]))
        if number > len(cores_of_others):
            looked.set()
        return Times(float(number), worked, 0.0)

    monkeypatch.setattr(spinning, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(spinning, "Sleepers", Told)
    monkeypatch.setattr(spinning, "_read_times", read)
    monkeypatch.setattr(spinning.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(spinning.torch, "get_num_threads", lambda: 2)
    with spin_while_free():
        assert looked.wait(10.0)
    assert told == ["0.0", "0.1", "0.9", "sleep 2 2", "1.0", "0.2", "spin", "0.0"]


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (8, 1), (9, 4)])
def test_where_there_is_always_room_nobody_looks(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(spinning, "_watch", looked.append)
    monkeypatch.setattr(spinning.os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
    monkeypatch.setattr(spinning.torch, "get_num_threads", lambda: threads)
    with spin_while_free():
        pass
    assert looked == []
