"""A dropped model file is kept whole under a plain name, or refused before anything is written."""

import hashlib
from pathlib import Path

import pytest

from engine.contract.failures import EngineFailure
from studio.uploads import keep_upload

GGUF = b"GGUF" + bytes(100)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("SmolLM2-135M.Q4_1.gguf", "SmolLM2-135M.Q4_1.gguf"),
        ("../../etc/passwd.gguf", "passwd.gguf"),
        (".hidden model (2).gguf", "hidden-model--2-.gguf"),
        ("x" * 300 + ".gguf", "x" * 95 + ".gguf"),
    ],
)
def test_it_is_kept_under_a_plain_name(tmp_path: Path, name: str, plain: str) -> None:
    kept = keep_upload(tmp_path, name, memoryview(GGUF)).path
    sha256 = hashlib.sha256(GGUF).hexdigest()
    assert kept == tmp_path / "models" / f"{sha256[:12]}-{plain}"
    assert kept.read_bytes() == GGUF
    assert list(kept.parent.iterdir()) == [kept]


def test_another_file_of_the_same_name_lies_beside_it(tmp_path: Path) -> None:
    other = b"GGUF" + bytes([1]) * 100
    first = keep_upload(tmp_path, "model.gguf", memoryview(GGUF))
    second = keep_upload(tmp_path, "model.gguf", memoryview(other))
    assert (first.path.read_bytes(), second.path.read_bytes()) == (GGUF, other)


def test_only_what_was_not_kept_before_is_discarded(tmp_path: Path) -> None:
    first = keep_upload(tmp_path, "model.gguf", memoryview(GGUF))
    again = keep_upload(tmp_path, "model.gguf", memoryview(GGUF))
    assert again.path == first.path
    again.discard()
    assert first.path.read_bytes() == GGUF
    first.discard()
    assert not first.path.exists()


@pytest.mark.parametrize("data", [b"", b"GG", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_gguf_file_is_refused_and_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EngineFailure, match="no GGUF file"):
        keep_upload(tmp_path, "model.gguf", memoryview(data))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(EngineFailure, match="could not be kept"):
        keep_upload(tmp_path, "model.gguf", memoryview(GGUF))
