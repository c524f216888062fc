"""A GGUF file becomes a base model, or is refused when it is added, with the reason and what to do."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.contract.failures import EngineFailure
from engine.models.catalog import (
    add_local_model,
    added_paths,
    find_model,
    forget_model,
    get_model,
    list_models,
    list_unpackings,
)
from engine.models.gguf_file import read_gguf
from engine.workspace import Workspace
from tests.engine.gguf_files import KINDS, byte_level, write_gguf

Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voicewright" / "models"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def describe(metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        metadata["general.languages"] = ["en", "deu"]

    from gguf import GGMLQuantizationType as Form

    file = tmp_path_factory.mktemp("gguf") / "Harbour Tiny.Q8_0.gguf"
    write_gguf(file, KINDS["qwen3"], byte_level(), change=describe, quantise=Form.Q8_0)
    return file


@pytest.fixture
def file(original: Path, tmp_path: Path) -> Path:
    """One that may be damaged."""
    copy = tmp_path / original.name
    copy.write_bytes(original.read_bytes())
    return copy


def why_not(workspace: Workspace, file: Path) -> str:
    """The sentence of a refusal that left nothing behind."""
    with pytest.raises(EngineFailure) as refused:
        add_local_model(workspace, file)
    failure = refused.value.failure
    assert failure.code == "model_unusable"
    assert failure.what_to_do
    assert len(list_models(workspace)) == 1
    cache = list_unpackings(workspace)["smollm2-135m-instruct"].folder.parent
    assert not cache.exists() or [one.name for one in cache.iterdir() if not one.name.endswith(".lock")] == []
    return failure.what_happened


# --- becomes a base model -------------------------------------------------------------------------------


def test_a_file_becomes_a_base_model_with_what_it_says_of_itself(workspace: Workspace, file: Path) -> None:
    info = add_local_model(workspace, file)
    assert info.name == "Harbour Tiny.Q8_0"
    assert (info.licence, info.languages, info.quantised_from) == ("mit", ("en", "de"), "Q8_0")
    assert (info.layers, info.hidden_size, info.window_tokens) == (3, 64, 256)
    assert (info.path, info.source, info.can_be_removed) == (str(file), "file", True)
    assert not list_models(workspace)[0].can_be_removed
    assert list_models(workspace)[1] == info
    assert added_paths(workspace) == {str(file)}
    assert add_local_model(workspace, file) == info
    assert len(list_models(workspace)) == 2


def test_a_file_may_have_no_ending_and_another_name_may_be_wanted(workspace: Workspace, file: Path) -> None:
    info = add_local_model(workspace, file.rename(file.with_name("sha256-0123")), "Ahoy")
    assert info.name == "Ahoy"


def test_an_emptied_cache_is_told_and_filled_again(workspace: Workspace, file: Path) -> None:
    info = add_local_model(workspace, file)
    unpacking = list_unpackings(workspace)[info.name]
    unpacking.remove()
    with pytest.raises(EngineFailure) as told:
        get_model(workspace, info.name)
    assert told.value.failure.code == "model_unpacking"
    unpacking.make(lambda done, total: None)
    assert list_models(workspace)[1].fingerprint == info.fingerprint

    unpacking.remove()
    file.unlink()
    assert "is gone" in list_models(workspace)[1].problem


def test_another_file_in_its_place_is_not_taken_for_it(workspace: Workspace, file: Path) -> None:
    info = add_local_model(workspace, file)
    unpacking = list_unpackings(workspace)[info.name]
    unpacking.remove()
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    with pytest.raises(EngineFailure, match="not what it was"):
        unpacking.make(lambda done, total: None)


def test_forgotten_it_leaves_the_cache_and_the_file_stays(workspace: Workspace, file: Path) -> None:
    info = add_local_model(workspace, file)
    folder = find_model(workspace, info.name)
    assert folder is not None and folder.is_dir()
    forget_model(workspace, info.name)
    assert not folder.exists()
    assert file.exists()
    assert len(list_models(workspace)) == 1


def test_a_dropped_file_is_known_as_our_copy_and_goes_with_its_model(
    workspace: Workspace, file: Path
) -> None:
    workspace.uploads.mkdir()
    dropped = file.rename(workspace.uploads / file.name)
    info = add_local_model(workspace, dropped)
    assert (info.path, info.source) == (str(dropped), "upload")
    forget_model(workspace, info.name)
    assert not dropped.exists()


def test_a_file_without_a_template_is_taken_and_gets_a_plain_one(
    workspace: Workspace, tmp_path: Path
) -> None:
    from engine.conversation import FALLBACK_CHAT_TEMPLATE, chat_template
    from engine.light_tokenizer import open_tokenizer

    written = write_gguf(tmp_path / "plain.gguf", KINDS["llama"], byte_level(template=""))
    info = add_local_model(workspace, written.file)
    assert chat_template(open_tokenizer(get_model(workspace, info.name))) == FALLBACK_CHAT_TEMPLATE
    assert "a simple prompt format is used" in info.description


# --- refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 0.6, 0.999])
def test_a_file_that_is_cut_off(share: float, workspace: Workspace, file: Path) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    reason = why_not(workspace, file)
    assert "cut off" in reason or (share == 0 and "not a GGUF file" in reason)


def test_what_only_ends_like_a_gguf_file(workspace: Workspace, tmp_path: Path) -> None:
    for content in (b"PK\x03\x04 a zip", b"GG", b""):
        (tmp_path / "not.gguf").write_bytes(content)
        assert "not a GGUF file" in why_not(workspace, tmp_path / "not.gguf")


def test_another_version_of_the_format(workspace: Workspace, file: Path) -> None:
    file.write_bytes(b"GGUF" + struct.pack("<I", 1) + file.read_bytes()[8:])
    assert "version 1" in why_not(workspace, file)


@pytest.mark.parametrize("place", [8, 16, 24])
@pytest.mark.parametrize("value", [2**64 - 1, 2**63, 2**33, 2**20])
def test_a_count_or_length_that_lies(place: int, value: int, workspace: Workspace, file: Path) -> None:
    """Of tensors, of keys, of the first key's name."""
    content = bytearray(file.read_bytes())
    content[place : place + 8] = struct.pack("<Q", value)
    file.write_bytes(content)
    assert "damaged" in (reason := why_not(workspace, file)) or "cut off" in reason


def set_key(key: str, value: Any) -> Change:
    return lambda metadata, tensors: metadata.update({key: value})


def drop_tensor(name: str) -> Change:
    def drop(metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        del tensors[name]

    return drop


def set_tensor(name: str, value: np.ndarray) -> Change:
    return lambda metadata, tensors: tensors.update({name: value})


NAN = np.full((64, 96), np.nan, np.float32)
CHANGES: dict[str, tuple[Change, str]] = {
    "another architecture": (set_key("general.architecture", "bloom"), "its architecture is “bloom”"),
    "pictures": (set_key("general.architecture", "clip"), "sees pictures"),
    "an adapter": (set_key("general.type", "adapter"), "a LoRA adapter"),
    "one of several": (set_key("split.count", 3), "one of 3 parts"),
    "experts": (set_key("llama.expert_count", 8), "mixture of experts"),
    "no layers": (set_key("llama.block_count", 0), "block count"),
    "too many layers": (set_key("llama.block_count", 4), "blk.3."),
    "fewer layers": (set_key("llama.block_count", 2), "unknown here (blk.2."),
    "another width": (set_key("llama.embedding_length", 128), "does not have the size"),
    "heads that cannot be shared": (set_key("llama.attention.head_count_kv", 3), "cannot be shared out"),
    "a text for a number": (set_key("llama.context_length", "long"), "context length"),
    "half turned heads": (set_key("llama.rope.dimension_count", 8), "a part of each head"),
    "yarn": (
        lambda metadata, tensors: metadata.update(
            {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0}
        ),
        "stretched by “yarn”",
    ),
    "strange factors": (
        set_tensor("rope_freqs.weight", np.linspace(1, 3, 8, dtype=np.float32)),
        "stretched in a way unknown",
    ),
    "a missing tensor": (drop_tensor("blk.1.attn_v.weight"), "blk.1.attn_v.weight is missing"),
    "no embeddings": (drop_tensor("token_embd.weight"), "token_embd.weight is missing"),
    "a strange tensor": (set_tensor("blk.0.extra.weight", np.zeros((4, 4))), "unknown here (blk.0.extra"),
    "a wrong shape": (set_tensor("blk.0.attn_q.weight", np.zeros((32, 64))), "does not have the size"),
    "no number": (set_tensor("blk.2.ffn_down.weight", NAN), "not numbers"),
    "a small vocabulary": (
        lambda metadata, tensors: tensors.update({"token_embd.weight": tensors["token_embd.weight"][:100]}),
        "vocabulary is smaller",
    ),
    "no tokenizer": (lambda metadata, tensors: metadata.pop("tokenizer.ggml.tokens") and None, "no tokens"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_cannot_be_tuned_is_refused_with_the_reason(
    case: str, workspace: Workspace, tmp_path: Path
) -> None:
    change, why = CHANGES[case]
    written = write_gguf(tmp_path / "tiny.gguf", KINDS["llama"], byte_level(), change=change)
    assert why in why_not(workspace, written.file)


def test_no_damaged_byte_ends_in_anything_but_a_sentence(file: Path, tmp_path: Path) -> None:
    """Every byte of the header's beginning, and some of the rest, set to its highest value in turn."""
    content = file.read_bytes()
    for place in [*range(4, 400), *range(400, 8_000, 97)]:
        file.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        try:
            read_gguf(file)
        except EngineFailure as error:
            assert error.failure.code == "model_unusable"


def test_a_header_may_not_claim_all_memory(workspace: Workspace, tmp_path: Path) -> None:
    """An array of a billion texts, of which the file holds none."""
    key = b"tokenizer.ggml.tokens"
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key
    (tmp_path / "big.gguf").write_bytes(header + struct.pack("<IIQ", 9, 8, 10**9) + b"\0" * 4000)
    assert "cut off" in why_not(workspace, tmp_path / "big.gguf")


def test_what_was_refused_is_told_as_one_line_of_json(workspace: Workspace, file: Path) -> None:
    import subprocess
    import sys

    file.write_bytes(file.read_bytes()[:5000])
    command = [sys.executable, "-m", "engine.models", "add", str(file), "--workspace", str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cut off" in json.loads(done.stdout)["failure"]["what_happened"]
