"""Weights in a mapped file are let go of and read again; no other memory is touched."""

import mmap
import sys
from pathlib import Path

import pytest
import torch

from engine.file_pages import MappedFiles

NUMBERS = 64 * mmap.PAGESIZE


def map_file(file: Path) -> torch.Tensor:
    file.write_bytes(torch.arange(NUMBERS, dtype=torch.float32).numpy().tobytes())
    return torch.from_file(str(file), shared=False, size=NUMBERS, dtype=torch.float32)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is let go of")
def test_whole_pages_of_a_file_are_let_go_of(tmp_path: Path) -> None:
    weights = map_file(tmp_path / "weights")
    assert MappedFiles().let_go([weights]) == weights.nbytes
    assert MappedFiles().let_go([weights[1:-1]]) == weights.nbytes - 2 * mmap.PAGESIZE
    assert MappedFiles().let_go([weights[1:10]]) == 0
    assert torch.equal(weights, torch.arange(NUMBERS, dtype=torch.float32))


def test_memory_that_is_of_no_file_keeps_what_it_holds(tmp_path: Path) -> None:
    mapped = map_file(tmp_path / "weights")
    weights = mapped + 1.0
    assert MappedFiles().let_go([weights, torch.ones(3)]) == 0
    assert torch.equal(weights, torch.arange(NUMBERS, dtype=torch.float32) + 1.0)
