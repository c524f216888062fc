"""Processes, locks and signals: everything of the engine that only POSIX systems have.

A port to another system touches this file. Knows how to start, recognise and end a process. Does not know
what the processes compute, nor runs or states.
"""

import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LOG_CAP_BYTES = 20_000_000
LOG_HEAD_BYTES = 1_000_000
# Carries the open files, so that none of the words after it are read together with them.
_MARK = b"\0"
SOURCE_ROOT = Path(__file__).resolve().parent.parent
# What a child may inherit: nothing that carries a secret or changes which code runs.
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
)

# What a step has freed is kept for the next one: handed back to the system, all of it would be touched for
# the first time again in every step. Of glibc; others do not read it. Not in huge pages: they save 2 % of a
# long run's time, and where a host lends its memory out page by page they cost a short run 10 %.
KEPT_MEMORY = {
    "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={2**34}"
    f":glibc.malloc.trim_threshold={2**34}:glibc.malloc.top_pad={2**28}"
}


# --- locks --------------------------------------------------------------------------------------------


def take_lock(file: Path) -> int | None:
    """A descriptor that holds the file's lock until every copy of it is closed; None if another holds it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def hold_lock(file: Path, seconds: float) -> Iterator[None]:
    """Wait for the file's lock at most so long, then TimeoutError; hold it in the block."""
    deadline = time.monotonic() + seconds
    while (lock := take_lock(file)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} is locked")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(lock)


def is_locked(file: Path) -> bool:
    if not file.exists():
        return False
    descriptor = take_lock(file)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


# --- children -----------------------------------------------------------------------------------------


@dataclass
class Child:
    """A Python module that leads a process group of its own, so that the whole group can be ended."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    """Its stdin, from our side."""
    _exit_code: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, line: str) -> bool:
        """Write one line to its stdin; False if it does not listen any more."""
        try:
            self.channel.sendall(line.encode() + b"\n")
        except OSError:
            return False
        return True

    def hand_over(self, line: str, descriptors: Sequence[int]) -> bool:
        """Write one line and pass open files along with it, for `receive` in the child.

        They are the child's from now on, even before it looks: a lock among them outlives our copy of it.
        """
        try:
            socket.send_fds(self.channel, [_MARK], descriptors)
        except OSError:
            return False
        return self.send(line)

    def close_input(self) -> None:
        """End of file on its stdin: the sign to finish and leave."""
        self.channel.close()

    def poll(self) -> int | None:
        """Its exit code once it has ended; whatever it started is ended with it."""
        if self._exit_code is None and _has_ended(self.pid):
            # Before it is reaped its number cannot belong to a stranger.
            _kill_group(self.pid)
            self._exit_code = self.process.wait()
            self.close_input()
        return self._exit_code

    def kill(self) -> None:
        if self._exit_code is None:
            _kill_group(self.pid)

    def wait(self, seconds: float = 10.0) -> int | None:
        """Wait for its end, at most so long."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._exit_code


def start_module(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    log: Path,
    threads: int,
    lock: int | None = None,
    talks_back: bool = False,
    trains: bool = False,
    spins: bool = False,
) -> Child:
    """Run `python -m module` with an allow-listed environment; its stdin is a channel, its words go to `log`.

    The child takes `lock` over: it is free again when the child and all that it started are gone. With
    `talks_back` its stdout is a pipe. `trains` is for what takes thousands of equal steps,
    `spins` for what looks out for neighbours of its threads (`spinning.py`).
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs, log.open("ab") as words:
            process = subprocess.Popen(
                # -P: the folder it runs in must not become a place to import from.
                [sys.executable, "-P", "-u", "-m", module, *arguments],
                cwd=folder,
                env=child_environment(threads, trains, spins),
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE if talks_back else words,
                stderr=words,
                pass_fds=() if lock is None else (lock,),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    finally:
        if lock is not None:
            os.close(lock)
    return Child(process, ours)


def child_environment(
    threads: int, trains: bool = False, spins: bool = False, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    kept = {
        name: value
        for name, value in inherited.items()
        if name in INHERITED or name.startswith("VOICEWRIGHT_")
    }
    return (
        kept
        | (KEPT_MEMORY if trains else {})
        | {
            "PYTHONPATH": str(SOURCE_ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TOKENIZERS_PARALLELISM": "false",
            # Threads that wait by spinning are slowed down several times over by a neighbour on their cores;
            # those that sleep at once take long to wake. GNU's runtime spins for some ten microseconds first,
            # in a process that looks out for neighbours (`spinning.py`) for some milliseconds.
            "OMP_WAIT_POLICY": "passive",
            "GOMP_SPINCOUNT": "100000" if trains or spins else "1000",
            "OMP_NUM_THREADS": str(threads),
            # Else numba makes the team as large as there are processors, and torch's products with it.
            "NUMBA_NUM_THREADS": str(threads),
        }
    )


def hears_something() -> bool:
    """In a child: whether a word waits on its stdin, or the end of it."""
    return bool(select.select([0], [], [], 0)[0])


def receive(most: int) -> tuple[str, list[int]] | None:
    """In a child: wait for what `hand_over` sends, at most so many open files; None if none will come."""
    with socket.socket(fileno=os.dup(0)) as channel:
        mark, descriptors, _, _ = socket.recv_fds(channel, len(_MARK), most)
    if mark != _MARK:
        return None
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    # Unbuffered: what is said after the line is for whoever listens next.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        return stdin.readline().decode().rstrip("\n"), descriptors


def cap_log(log: Path) -> None:
    """Keep the beginning of a log that has grown beyond its cap; its writer appends and goes on."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_CAP_BYTES:
            os.truncate(log, LOG_HEAD_BYTES)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_group(leader: int) -> None:
    # macOS answers EPERM for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


# --- processes of an earlier engine --------------------------------------------------------------------


def kill_module(module: str, argument: str) -> bool:
    """End the group of the process that runs this module with this last argument, if there is one.

    Found by what it runs, never by a remembered number: numbers are given to strangers.
    """
    found = [process.pid for process in psutil.process_iter() if _runs(process, module, argument)]
    killed = [pid for pid in found if _kill_if_still(pid, module, argument)]
    return bool(killed)


def _kill_if_still(pid: int, module: str, argument: str) -> bool:
    try:
        # While it is held open, the number cannot pass to another process unnoticed.
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if not _runs(psutil.Process(pid), module, argument) or os.getpgid(pid) != pid:
            return False
        _kill_group(pid)
        return True
    except (OSError, psutil.Error):
        return False
    finally:
        if handle is not None:
            os.close(handle)


def _runs(process: psutil.Process, module: str, argument: str) -> bool:
    try:
        words = list(process.cmdline())
    except psutil.Error:
        return False
    return words[-1:] == [argument] and ["-m", module] == words[-3:-1]


# --- the machine ---------------------------------------------------------------------------------------


def usable_cores() -> int:
    """Physical cores this process may use: a second thread on the same core slows matrix products."""
    physical = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed, _quota_cores() or allowed))


def memory_limit() -> tuple[int, int] | None:
    """(limit, used) of the control group this process lives in, if it has a limit."""
    for limit_file, used_file in _MEMORY_FILES:
        folder = _group_folder()
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None and limit < psutil.virtual_memory().total:
            return limit, used
    return None


def out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed for memory: in our control group, else on the machine."""
    for file in (
        _group_folder() / "memory.events",
        _group_folder() / "memory.oom_control",
        Path("/proc/vmstat"),
    ):
        try:
            words = file.read_text().split()
        except OSError:
            continue
        if "oom_kill" in words:
            return int(words[words.index("oom_kill") + 1])
    return None


_MEMORY_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def _group_folder() -> Path:
    """Where the kernel shows our control group: version 2 by path, version 1 by its memory controller."""
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return Path("/nonexistent")
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            own = Path("/sys/fs/cgroup/memory") / path.lstrip("/")
            return own if own.exists() else Path("/sys/fs/cgroup/memory")
    unified = next((path for _, controllers, path in lines if not controllers), "/")
    own = Path("/sys/fs/cgroup") / unified.lstrip("/")
    return own if own.exists() else Path("/sys/fs/cgroup")


def _quota_cores() -> int | None:
    try:
        quota, period = (_group_folder() / "cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


# --- signals -------------------------------------------------------------------------------------------


def on_end_signals(action: Callable[[], None]) -> None:
    """Call `action` on SIGTERM and SIGINT, as often as they come; SIGHUP of a closed terminal is ignored."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: action())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
