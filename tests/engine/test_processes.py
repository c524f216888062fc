"""Processes and locks: what holds a lock lives, what has ended leaves nobody behind, strangers are left
alone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine import processes
from engine.processes import (
    Child,
    cap_log,
    child_environment,
    is_locked,
    kill_module,
    start_module,
    take_lock,
)

# `python -m code` runs the lines it reads: a child that does what a test tells it.
TALKER = "code"


def wait_until(happens: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    lock = take_lock(tmp_path / "lock")
    child = start_module(TALKER, [], folder=tmp_path, log=tmp_path / "log", threads=1, lock=lock)
    yield child
    child.kill()
    child.wait()


def test_a_lock_is_held_for_as_long_as_the_child_lives_and_not_longer(child: Child, tmp_path: Path) -> None:
    assert is_locked(tmp_path / "lock")
    assert take_lock(tmp_path / "lock") is None
    child.kill()
    assert child.wait() == -9
    assert not is_locked(tmp_path / "lock")


def test_a_child_that_leaves_takes_its_own_children_along(child: Child, tmp_path: Path) -> None:
    child.send("import os, subprocess; subprocess.Popen(['sleep', '600'])")
    wait_until(lambda: len(psutil.Process(child.pid).children()) == 1)
    (grandchild,) = psutil.Process(child.pid).children()
    child.send("os._exit(5)")
    assert child.wait() == 5
    wait_until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_end_of_file_reaches_the_child(child: Child) -> None:
    child.close_input()
    assert child.wait() == 0
    assert child.send("print('too late')") is False


def test_open_files_are_handed_over_and_what_is_said_next_is_for_whoever_listens_next(tmp_path: Path) -> None:
    lock, log = take_lock(tmp_path / "lock"), tmp_path / "log"
    assert lock is not None
    lines = (
        "import os, sys",
        "from engine.processes import hears_something, receive",
        "while not hears_something(): pass",
        "words, (lock, file) = receive(most=2)",
        "os.write(file, f'{words}, then {sys.stdin.readline()}'.encode())",
        "sys.stdin.read()",
    )
    child = start_module("timeit", ["-n1", "-r1", "\n".join(lines)], folder=tmp_path, log=log, threads=1)
    with (tmp_path / "told").open("wb") as told:
        assert child.hand_over("first", (lock, told.fileno()))
    os.close(lock)
    assert is_locked(tmp_path / "lock")
    child.send("second")
    wait_until(lambda: (tmp_path / "told").read_text() == "first, then second\n")
    assert is_locked(tmp_path / "lock")
    child.close_input()
    assert child.wait() == 0, log.read_text()
    assert not is_locked(tmp_path / "lock")


def test_a_lock_on_its_way_to_a_child_that_dies_before_it_looks_is_free(child: Child, tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "other lock")
    assert lock is not None
    child.process.send_signal(signal.SIGSTOP)
    assert child.hand_over("first", (lock,))
    os.close(lock)
    assert is_locked(tmp_path / "other lock")
    child.kill()
    child.wait()
    assert not is_locked(tmp_path / "other lock")
    assert child.hand_over("second", ()) is False


def test_a_child_whose_supervisor_has_gone_receives_nothing(tmp_path: Path) -> None:
    code = "import os; from engine.processes import receive; os._exit(7 if receive(most=2) is None else 1)"
    child = start_module("timeit", ["-n1", code], folder=tmp_path, log=tmp_path / "log", threads=1)
    child.close_input()
    assert child.wait() == 7


def test_words_to_a_child_that_has_died_are_lost_quietly(child: Child) -> None:
    child.kill()
    child.wait()
    assert child.send("hello") is False


def test_only_the_process_that_runs_this_module_with_this_argument_is_ended(tmp_path: Path) -> None:
    argument = f"import time; time.sleep(60)  # {tmp_path}"
    stranger = subprocess.Popen([sys.executable, "-c", argument, "-m", "timeit"])
    child = start_module("timeit", [argument], folder=tmp_path, log=tmp_path / "log", threads=1)
    try:
        assert kill_module("engine.training", argument) is False
        assert kill_module("timeit", str(tmp_path)) is False
        assert child.poll() is None
        assert kill_module("timeit", argument) is True
        assert child.wait() == -9
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_secrets_of_the_environment_do_not_reach_a_child() -> None:
    inherited = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONSTARTUP": "x",
        "VOICEWRIGHT_PRECISION": "fp32",
    }
    environment = child_environment(threads=2, inherited=inherited)
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert "PYTHONSTARTUP" not in environment
    assert environment["PATH"] == "/bin"
    assert environment["VOICEWRIGHT_PRECISION"] == "fp32"
    assert (environment["OMP_NUM_THREADS"], environment["HF_HUB_OFFLINE"]) == ("2", "1")


def test_only_what_trains_keeps_the_memory_it_has_freed() -> None:
    trains, answers = (child_environment(threads=2, trains=trains, inherited={}) for trains in (True, False))
    assert "trim_threshold" in trains["GLIBC_TUNABLES"]
    assert "GLIBC_TUNABLES" not in answers
    spins = child_environment(threads=2, spins=True, inherited={})
    assert spins == answers | {"GOMP_SPINCOUNT": trains["GOMP_SPINCOUNT"]}


def test_a_file_in_the_folder_of_a_run_is_never_imported(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("raise SystemExit(66)")
    child = start_module(TALKER, [], folder=tmp_path, log=tmp_path / "log", threads=1)
    child.close_input()
    assert child.wait() == 0


def test_a_flood_of_words_is_capped_and_its_beginning_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_CAP_BYTES", 1000)
    monkeypatch.setattr(processes, "LOG_HEAD_BYTES", 100)
    log = tmp_path / "log"
    with log.open("ab") as writer:
        writer.write(b"first" + b"x" * 2000)
        writer.flush()
        cap_log(log)
        writer.write(b"last")
    assert log.read_bytes() == b"first" + b"x" * 95 + b"last"
    cap_log(tmp_path / "no log")


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        take_lock(tmp_path / "lock")


def test_the_supervisor_never_loads_a_machine_learning_library() -> None:
    code = (
        "import sys, engine.__main__, engine.estimates, engine.methods;"
        "print([name for name in ('torch', 'transformers', 'peft', 'streamlit') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ.copy()
    )
    assert answer.stdout.strip() == "[]", answer.stderr
