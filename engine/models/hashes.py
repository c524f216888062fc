"""sha256 of files, read once for as long as a file keeps its time and its size.

What large files came to is also kept on disk, for all processes and over restarts; losing it costs time only.
Does not know models.
"""

import json
import threading
from hashlib import file_digest, sha256
from pathlib import Path

from platformdirs import user_cache_path

from engine.workspace import write_durably

KEPT_FROM_BYTES = 2**24
"""A smaller file is read faster than what is kept of it is worth."""
_KEPT_AT_MOST = 500
_Key = tuple[Path, int, int]
_read: dict[_Key, str] = {}
"""Of what this process has read itself."""
_kept: dict[_Key, str] = {}
"""Of what another one has read."""
_locks: dict[_Key, threading.Lock] = {}


def file_sha256(file: Path) -> str:
    """As it was read here or by an earlier process; several that ask at once wait for one reading."""
    key = _identity(file)
    if known := _read.get(key) or _kept.get(key):
        return known
    with _locks.setdefault(key, threading.Lock()):
        if known := _read.get(key) or _load(key):
            return known
        found = _read_content(file, key)
        _keep(key, found)
    return found


def read_sha256(file: Path) -> str:
    """As this process has read it: a disk can change what is in a file without its time and size."""
    key = _identity(file)
    with _locks.setdefault(key, threading.Lock()):
        return _read.get(key) or _read_content(file, key)


def keep_sha256(file: Path, known: str) -> None:
    """Of a file that was read under another name; for this and later processes."""
    _keep(_identity(file), known)


def _keep(key: _Key, known: str) -> None:
    """Nothing is kept if the disk does not let it be."""
    if key[2] < KEPT_FROM_BYTES:
        return
    try:
        place = _place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_durably(place, json.dumps(known).encode())
        for oldest in sorted(place.parent.glob("*.json"), key=_written_at)[:-_KEPT_AT_MOST]:
            oldest.unlink(missing_ok=True)
    except OSError:
        return


def _read_content(file: Path, key: _Key) -> str:
    with file.open("rb") as stream:
        found = file_digest(stream, "sha256").hexdigest()
    if _identity(file) == key:
        _read[key] = found
    return found


def _load(key: _Key) -> str | None:
    if key[2] < KEPT_FROM_BYTES:
        return None
    try:
        known = json.loads(_place(key).read_bytes())
    except (OSError, ValueError):
        return None
    if isinstance(known, str) and len(known) == 64:
        _kept[key] = known
        return known
    return None


def _identity(file: Path) -> _Key:
    """Path, time (ns) and size (bytes)."""
    status = file.stat()
    return file.absolute(), status.st_mtime_ns, status.st_size


def _place(key: _Key) -> Path:
    name = sha256(repr((str(key[0]), *key[1:])).encode()).hexdigest()
    return user_cache_path("voicewright") / "hashes" / f"{name}.json"


def _written_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
