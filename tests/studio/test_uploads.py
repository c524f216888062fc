"""A dropped model file is kept whole under a plain name, or refused before anything is written."""

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
    kept = keep_upload(tmp_path, name, memoryview(GGUF))
    assert kept == tmp_path / "models" / plain
    assert kept.read_bytes() == GGUF
    assert [file.name for file in kept.parent.iterdir()] == [plain]


@pytest.mark.parametrize("data", [b"", b"GG", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_gguf_file_is_refused_and_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EngineFailure, match="no GGUF file"):
        keep_upload(tmp_path, "model.gguf", memoryview(data))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(EngineFailure, match="could not be kept"):
        keep_upload(tmp_path, "model.gguf", memoryview(GGUF))
