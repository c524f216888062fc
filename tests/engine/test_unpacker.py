"""The engine has the bundled model unpacked by itself: at the first start, and whenever it is gone again."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Form

from engine.contract.failures import EngineFailure
from engine.models.bundled import BUNDLED
from engine.models.catalog import add_local_model, get_model, list_models, list_unpackings
from engine.models.hashes import file_sha256
from engine.models.unpacking import Unpacking
from engine.unpacker import Unpacker
from engine.workspace import Workspace
from tests.engine.gguf_files import KINDS, byte_level, write_gguf


@pytest.fixture
def engine(sleeping_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine that is not started yet, with an empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return sleeping_engine


def wait_for(engine: Any, state: str, seconds: float = 90.0) -> list[dict[str, Any]]:
    """All that was seen until that state came."""
    seen = []
    deadline = time.monotonic() + seconds
    while not seen or seen[-1]["state"] != state:
        assert time.monotonic() < deadline, seen[-3:]
        seen.append(engine.ask("GET", "/models/bundled"))
        time.sleep(0.05)
    return seen


def test_it_is_unpacked_at_the_first_start_and_again_when_the_cache_was_emptied(engine: Any) -> None:
    engine.start()
    assert "not unpacked" in engine.ask("GET", "/models")[0]["problem"]
    shares = [seen["share"] for seen in wait_for(engine, "ready")]
    assert shares == sorted(shares)
    assert any(0 < share < 1 for share in shares)
    assert engine.ask("GET", "/models")[0]["parameters"] == 134_515_008

    shutil.rmtree(BUNDLED.folder)
    wait_for(engine, "unpacking")
    reading = f"/models/{BUNDLED.name}/token-counts"
    refused = engine.ask("POST", reading, [{"prompt": "A", "completion": "b", "split": "train"}], status=503)
    assert refused["failure"]["code"] == "model_unpacking"
    wait_for(engine, "ready")
    assert BUNDLED.is_intact()


def test_a_cache_that_cannot_be_written_is_told_and_tried_again_when_asked(
    engine: Any, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    engine.start()
    failure = wait_for(engine, "failed")[-1]["failure"]
    assert str(tmp_path / "cache") in failure["what_happened"]
    (tmp_path / "cache").unlink()
    assert engine.ask("POST", "/models/bundled")["state"] == "unpacking"
    wait_for(engine, "ready")


def test_a_gguf_file_is_added_over_the_api_and_made_again_when_its_copy_is_gone(
    engine: Any, tmp_path: Path, bundled_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundled_model_folder, tmp_path / "cache" / "voicewright" / "models" / BUNDLED.folder.name)
    file = write_gguf(tmp_path / "harbour.gguf", KINDS["qwen2"], byte_level(), quantise=Form.Q8_0).file
    engine.start()
    engine.ask("POST", "/models", {"path": str(file)})

    def added() -> Any:
        return engine.ask("GET", "/model-additions")[0]

    def models() -> dict[str, Any]:
        return {model["name"]: model for model in engine.ask("GET", "/models")}

    deadline = time.monotonic() + 60
    while added()["state"] == "checking" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert added()["state"] == "added", added()
    info = added()["model"]
    assert (info["name"], info["quantised_from"], info["licence"]) == ("harbour", "Q8_0", "mit")

    shutil.rmtree(Unpacking.of(file, file_sha256(file)).folder)
    deadline = time.monotonic() + 60
    while (listed := models()["harbour"])["problem"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert listed == info


def test_a_bit_that_the_disk_flipped_is_mended_at_the_next_start(
    engine: Any, tmp_path: Path, bundled_model_folder: Path
) -> None:
    folder = tmp_path / "cache" / "voicewright" / "models" / BUNDLED.folder.name
    shutil.copytree(bundled_model_folder, folder)
    weights = folder / "model.safetensors"
    times = weights.stat().st_atime_ns, weights.stat().st_mtime_ns
    with weights.open("r+b") as file:
        file.seek(100_000_000)
        flipped = bytes([file.read(1)[0] ^ 1])
        file.seek(100_000_000)
        file.write(flipped)
    os.utime(weights, ns=times)
    assert BUNDLED.is_complete()
    engine.start()
    deadline = time.monotonic() + 90
    while not BUNDLED.is_intact():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def tick_until_idle(unpacker: Unpacker, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    unpacker.tick()
    while unpacker.is_busy and time.monotonic() < deadline:
        time.sleep(0.02)
        unpacker.tick()


def test_a_run_waits_for_its_own_model_while_others_are_unpacked(
    workspace: Workspace,
    tmp_path: Path,
    bundled_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two unpackings nothing may claim the run of the second."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    BUNDLED.folder.parent.mkdir(parents=True)
    BUNDLED.folder.symlink_to(bundled_model_folder)
    names = []
    for name, kind in (("first", "qwen2"), ("second", "llama")):
        file = write_gguf(tmp_path / f"{name}.gguf", KINDS[kind], byte_level(), quantise=Form.Q8_0).file
        names.append(add_local_model(workspace, file).name)
    for name in names:
        list_unpackings(workspace)[name].remove()
    unpacker = Unpacker(workspace)
    tick_until_idle(unpacker)
    assert not any(unpacker.is_coming(name) for name in names)
    assert all(list_unpackings(workspace)[name].is_complete() for name in names)


def test_why_a_model_could_not_be_unpacked_is_said_until_another_try_is_asked_for(
    workspace: Workspace, tmp_path: Path, bundled_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    BUNDLED.folder.parent.mkdir(parents=True)
    BUNDLED.folder.symlink_to(bundled_model_folder)
    file = write_gguf(tmp_path / "harbour.gguf", KINDS["qwen2"], byte_level()).file
    content = file.read_bytes()
    info = add_local_model(workspace, file)
    list_unpackings(workspace)[info.name].remove()
    file.write_bytes(content[:-1] + b"\x55")
    unpacker = Unpacker(workspace)
    tick_until_idle(unpacker)
    broken = list_models(workspace)[1]
    assert "not what it was" in broken.problem
    assert broken.can_try_again
    with pytest.raises(EngineFailure, match="not what it was"):
        get_model(workspace, info.name)
    assert not unpacker.is_coming(info.name)

    file.write_bytes(content)
    tick_until_idle(unpacker)
    assert list_models(workspace)[1] == broken
    unpacker.try_again()
    assert not list_models(workspace)[1].can_try_again
    tick_until_idle(unpacker)
    assert list_models(workspace)[1] == info
