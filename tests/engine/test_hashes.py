"""A large file is hashed once: by all who ask at the same time, and over restarts."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.models import hashes
from engine.models.hashes import KEPT_FROM_BYTES, file_sha256, read_sha256


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The names of the files whose content was read, each of which takes a moment."""
    names: list[str] = []

    def digest(stream: Any, kind: str) -> Any:
        names.append(Path(stream.name).name)
        time.sleep(0.05)
        return hashlib.file_digest(stream, kind)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "file_digest", digest)
    yield names


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "model.safetensors"
    file.write_bytes(bytes(KEPT_FROM_BYTES))
    return file


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_read", "_kept"):
        monkeypatch.setattr(hashes, name, {})


def test_many_who_ask_at_once_wait_for_one_reading(file: Path, read: list[str]) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(file_sha256(file))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [hashlib.sha256(bytes(KEPT_FROM_BYTES)).hexdigest()] * 4
    assert read == [file.name]


def test_what_was_read_once_is_known_after_a_restart_until_the_file_changes(
    file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_sha256(file)
    restart(monkeypatch)
    assert file_sha256(file) == before
    assert read == [file.name]
    assert read_sha256(file) == before
    assert len(read) == 2
    file.write_bytes(bytes(KEPT_FROM_BYTES) + b"1")
    assert file_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest() != before


def test_a_cache_that_cannot_be_written_costs_time_only(
    file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    before = file_sha256(file)
    restart(monkeypatch)
    assert file_sha256(file) == before
    assert len(read) == 2
