"""A GGUF file is unpacked once into the cache, and whatever is not as it was written is made again."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.contract.failures import EngineFailure
from engine.models.catalog import add_local_model, list_unpackings
from engine.models.unpacking import CERTIFICATE, FORMAT, Unpacking
from engine.processes import take_lock
from engine.workspace import Workspace
from tests.engine.gguf_files import KINDS, byte_level, write_gguf

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = "model.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voicewright" / "models"


@pytest.fixture
def unpacking(cache: Path, workspace: Workspace, tmp_path: Path) -> Unpacking:
    """Of a tiny model that was added, and is unpacked."""
    add_local_model(workspace, write_gguf(tmp_path / "tiny.gguf", KINDS["llama"], byte_level()).file)
    return list_unpackings(workspace)["tiny"]


@pytest.fixture
def gone(unpacking: Unpacking) -> Unpacking:
    unpacking.remove()
    return unpacking


def start(
    workspace: Workspace, fault: str = "", limits: Callable[[], None] | None = None
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "engine.models", "unpack", "tiny"]
    return subprocess.Popen(
        [*command, "--workspace", str(workspace.root)],
        env=os.environ | {"VOICEWRIGHT_FAULT": fault},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=limits,
    )


def lines(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]


def leftovers(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir() if not entry.name.endswith(".lock"))


def nothing(done: int, total: int) -> None:
    pass


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_two_at_once_unpack_once(gone: Unpacking, workspace: Workspace, cache: Path) -> None:
    both = [start(workspace), start(workspace)]
    said = [lines(process) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(bool(line) for line in said) == [False, True]
    assert leftovers(cache) == [gone.folder.name]


def test_who_waits_is_patient_while_the_other_gets_on_and_leaves_his_work_alone(
    unpacking: Unpacking, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """The same file, added in another workspace while this one unpacks it."""
    monkeypatch.setattr("engine.models.unpacking._LOCK_SECONDS", 0.3)
    other = Workspace(workspace.root.with_name("other"))
    other.create()
    lock = take_lock(cache / f".{unpacking.folder.name}.lock")
    assert lock is not None
    writing = cache / f".unpacking-{unpacking.folder.name}"
    writing.mkdir()
    ends_at = time.monotonic() + 1.0

    def grow() -> None:
        while time.monotonic() < ends_at:
            with (writing / WEIGHTS).open("ab") as file:
                file.write(b"1")
            time.sleep(0.02)

    growing = threading.Thread(target=grow)
    growing.start()
    with pytest.raises(EngineFailure, match="does not finish"):
        add_local_model(other, unpacking.source)
    assert time.monotonic() > ends_at
    growing.join()
    unpacking.remove()
    assert unpacking.is_intact()
    os.close(lock)
    unpacking.remove()
    assert not unpacking.folder.exists()


@pytest.mark.parametrize("point", ["unpacked:1:kill9", "publish_rename:1:kill9"])
def test_killed_shortly_before_the_end_it_is_made_again(
    point: str, gone: Unpacking, workspace: Workspace, cache: Path
) -> None:
    killed = start(workspace, fault=point)
    lines(killed)
    assert killed.returncode == -9
    assert not gone.is_complete()
    lines(start(workspace))
    assert gone.is_intact()
    assert leftovers(cache) == [gone.folder.name]


def test_an_unexpected_error_leaves_nothing(gone: Unpacking, workspace: Workspace, cache: Path) -> None:
    failed = start(workspace, fault="unpacked:1:exc")
    lines(failed)
    assert failed.returncode == 1
    assert leftovers(cache) == []


def test_a_file_cut_off_is_noticed_at_a_glance(unpacking: Unpacking) -> None:
    os.truncate(unpacking.folder / WEIGHTS, 1000)
    assert not unpacking.is_complete()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", CERTIFICATE])
def test_a_missing_file_is_noticed_at_a_glance(name: str, unpacking: Unpacking) -> None:
    (unpacking.folder / name).unlink()
    assert not unpacking.is_complete()


def test_a_torn_certificate_counts_as_none(unpacking: Unpacking) -> None:
    certificate = unpacking.folder / CERTIFICATE
    for content in (b"", b"{", b"[]", b'{"files": 3}', b"\xff\xfe"):
        certificate.write_bytes(content)
        assert not unpacking.is_complete()
        assert not unpacking.is_intact()


def test_a_flipped_bit_is_noticed_and_mended(unpacking: Unpacking, workspace: Workspace) -> None:
    weights = unpacking.folder / WEIGHTS
    status, content = weights.stat(), weights.read_bytes()
    flip(weights, 30_000)
    assert not unpacking.is_complete()
    # If the disk itself flipped it, the file's time says nothing, but its hash does.
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert unpacking.is_complete()
    assert lines(start(workspace))[-1]["done"] > 0
    assert unpacking.is_complete()
    assert weights.read_bytes() == content


def test_without_room_there_is_one_sentence_and_nothing_left(
    gone: Unpacking, workspace: Workspace, cache: Path
) -> None:
    for limit in (1000, 20_000, 100_000):
        process = start(
            workspace, limits=lambda most=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        )
        failure = lines(process)[-1]["failure"]
        assert process.returncode == 2
        assert failure["code"] == "disk_full"
        assert "no room on the disk" in failure["what_happened"]
        assert leftovers(cache) == []


def test_a_full_disk_is_told_as_such(gone: Unpacking, workspace: Workspace, cache: Path) -> None:
    process = start(workspace, fault="unpacked:1:enospc")
    assert lines(process)[-1]["failure"]["code"] == "disk_full"
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written_gets_a_sentence(
    gone: Unpacking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(EngineFailure) as told:
        gone.make(nothing)
    assert told.value.failure.code == "workspace_unusable"
    assert str(tmp_path / "elsewhere") in told.value.failure.what_happened


def test_a_damaged_source_is_not_unpacked(gone: Unpacking, cache: Path) -> None:
    flip(gone.source, 50_000)
    with pytest.raises(EngineFailure, match="not what it was"):
        gone.make(nothing)
    assert leftovers(cache) == []


def test_what_an_older_version_unpacked_goes_and_a_newer_ones_stays(
    unpacking: Unpacking, cache: Path
) -> None:
    stem = unpacking.folder.name.rpartition("-v")[0]
    for number in (FORMAT - 1, FORMAT + 1):
        (cache / f"{stem}-v{number}").mkdir()
    (unpacking.folder / CERTIFICATE).unlink()
    unpacking.make(nothing)
    assert leftovers(cache) == sorted([unpacking.folder.name, f"{stem}-v{FORMAT + 1}"])


def test_an_unpacking_of_another_file_does_not_count(unpacking: Unpacking) -> None:
    certificate = unpacking.folder / CERTIFICATE
    certificate.write_text(certificate.read_text().replace(unpacking.source_sha256, "0" * 64))
    assert not replace(unpacking).is_complete()
