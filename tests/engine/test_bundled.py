"""The base model that comes with the product: unpacked once, as it was meant, and noticed when damaged."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.contract.failures import EngineFailure
from engine.models.bundled import BUNDLED
from engine.models.unpacking import CERTIFICATE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voicewright" / "models"


@pytest.fixture
def half_cache(cache: Path, bundled_model_folder: Path) -> Path:
    """A cache with the unpacked model, copied so that it may be damaged."""
    shutil.copytree(bundled_model_folder, BUNDLED.folder)
    assert BUNDLED.is_intact()
    return cache


def start(limits: Callable[[], None] | None = None, fault: str = "") -> "subprocess.Popen[str]":
    environment = os.environ | {"VOICEWRIGHT_FAULT": fault}
    command = [sys.executable, "-P", "-m", "engine.models", "unpack"]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=limits
    )


def lines(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]


def leftovers(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir() if not entry.name.endswith(".lock"))


def test_the_weights_are_those_of_the_file(bundled_model_folder: Path) -> None:
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors import safe_open

    def reference(name: str) -> torch.Tensor:
        stored = next(tensor for tensor in GGUFReader(BUNDLED.source).tensors if tensor.name == name)
        return torch.from_numpy(np.array(dequantize(stored.data, stored.tensor_type))).to(torch.bfloat16)

    with safe_open(bundled_model_folder / "model.safetensors", "pt") as weights:
        assert len(weights.keys()) == 272
        same = {
            "token_embd.weight": "model.embed_tokens.weight",
            "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
            "blk.17.ffn_down.weight": "model.layers.17.mlp.down_proj.weight",
            "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
        }
        for theirs, ours in same.items():
            assert torch.equal(weights.get_tensor(ours), reference(theirs))
        queries = reference("blk.4.attn_q.weight").view(9, 32, 2, 576).transpose(1, 2).reshape(576, 576)
        assert torch.equal(weights.get_tensor("model.layers.4.self_attn.q_proj.weight"), queries)


def test_transformers_opens_it_and_says_nothing(bundled_model_folder: Path) -> None:
    program = (
        "import sys, transformers as t; folder = sys.argv[1];"
        "t.utils.logging.disable_progress_bar();"
        "model = t.AutoModelForCausalLM.from_pretrained(folder); t.AutoTokenizer.from_pretrained(folder);"
        "assert str(model.dtype) == 'torch.bfloat16' and not hasattr(model.config, 'quantization_config')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, str(bundled_model_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    ours = [line for line in done.stderr.splitlines() if "Deprecat" not in line and line.strip()]
    assert ours == []


def test_it_is_unpacked_once_and_says_how_far_it_is(cache: Path) -> None:
    first = start()
    said = lines(first)
    assert first.returncode == 0
    assert [line["done"] for line in said] == sorted(line["done"] for line in said)
    assert said[-1]["done"] == said[-1]["total"]
    assert len(said) > 20
    assert BUNDLED.is_intact()
    written = (BUNDLED.folder / "model.safetensors").stat().st_mtime_ns
    assert lines(start()) == []
    assert (BUNDLED.folder / "model.safetensors").stat().st_mtime_ns == written


def test_two_at_once_unpack_once(cache: Path) -> None:
    both = [start(), start()]
    said = [lines(process) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(bool(line) for line in said) == [False, True]
    assert leftovers(cache) == [BUNDLED.folder.name]


@pytest.mark.parametrize("point", ["unpacked:1:kill9", "publish_rename:1:kill9"])
def test_killed_shortly_before_the_end_it_is_made_again(cache: Path, point: str) -> None:
    killed = start(fault=point)
    lines(killed)
    assert killed.returncode == -9
    assert not BUNDLED.is_complete()
    lines(start())
    assert BUNDLED.is_intact()
    assert leftovers(cache) == [BUNDLED.folder.name]


def test_killed_amid_the_weights_it_is_made_again(cache: Path) -> None:
    process = start()
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert not BUNDLED.is_complete()
    BUNDLED.make(lambda done, total: None)
    assert BUNDLED.is_intact()


def test_a_file_cut_off_is_noticed_at_a_glance(half_cache: Path) -> None:
    os.truncate(BUNDLED.folder / "model.safetensors", 1_000_000)
    assert not BUNDLED.is_complete()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", CERTIFICATE])
def test_a_missing_file_is_noticed_at_a_glance(half_cache: Path, name: str) -> None:
    (BUNDLED.folder / name).unlink()
    assert not BUNDLED.is_complete()


def test_a_flipped_bit_is_noticed_and_mended(half_cache: Path) -> None:
    weights = BUNDLED.folder / "model.safetensors"
    status = weights.stat()
    with weights.open("r+b") as file:
        file.seek(123_456_789)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    assert not BUNDLED.is_complete()
    # Even if the disk itself flipped it, behind the back of the file's time.
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert BUNDLED.is_complete()
    assert lines(start())[-1]["done"] > 0
    assert BUNDLED.is_complete()
    with weights.open("rb") as file:
        file.seek(123_456_789)
        assert file.read(1)[0] == byte


def test_without_room_one_sentence_and_nothing_left(cache: Path) -> None:
    limit = 50_000_000
    process = start(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    failure = lines(process)[-1]["failure"]
    assert process.returncode == 2
    assert failure["code"] == "disk_full"
    assert "no room on the disk" in failure["what_happened"]
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written_gets_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    process = start()
    failure = lines(process)[-1]["failure"]
    assert failure["code"] == "workspace_unusable"
    assert str(tmp_path / "cache") in failure["what_happened"]


def test_a_damaged_source_is_not_unpacked(cache: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    source = tmp_path / "damaged.gguf"
    content = BUNDLED.source.read_bytes()
    source.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EngineFailure, match="not what it was"):
        replace(BUNDLED, source=source).make(lambda done, total: None)
    assert leftovers(cache) == []


def test_what_an_older_version_unpacked_goes(half_cache: Path) -> None:
    older = BUNDLED.folder.with_name(BUNDLED.folder.name.rpartition("-v")[0] + "-v0")
    older.mkdir()
    (BUNDLED.folder / CERTIFICATE).unlink()
    BUNDLED.make(lambda done, total: None)
    assert leftovers(half_cache) == [BUNDLED.folder.name]


@pytest.mark.slow
def test_it_takes_under_ten_seconds_and_little_memory(cache: Path) -> None:
    begin = time.monotonic()
    lines(start())
    assert time.monotonic() - begin < 10
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300_000
