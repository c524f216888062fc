"""What is feared of compiled loops on disk: that damage to them ends a process instead of a compilation."""

from pathlib import Path
from typing import Any

import pytest
from numba import njit

from engine.kernel_cache import drop_loops, is_kept, load_loops


def add(one: int, other: int) -> int:
    return one + other


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A loop that was compiled and kept by an earlier process, as far as numba can tell."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    kept = njit(cache=True)(add)
    assert kept(1, 2) == 3
    return njit(cache=True)(add)


def files_of(folder: Path, ending: str) -> list[Path]:
    return list(folder.rglob(f"*.{ending}"))


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_what_is_damaged_is_dropped_and_compiled_again(loop: Any, tmp_path: Path, ending: str) -> None:
    (file,) = files_of(tmp_path, ending)
    file.write_bytes(b"no pickle")
    found: list[int] = []
    load_loops({"add": loop}, lambda: found.append(loop(1, 2)), "pass", loop, lambda _: True)
    assert found == [3]
    assert is_kept({"add": njit(cache=True)(add)}, njit(cache=True)(add), lambda _: True)


def test_what_is_kept_is_found_and_what_is_dropped_is_gone(loop: Any, tmp_path: Path) -> None:
    assert is_kept({"add": loop}, loop, lambda _: True)
    assert not is_kept({"add": loop}, loop, lambda _: False)
    drop_loops({"add": loop})
    assert not files_of(tmp_path, "nbi")
    assert not is_kept({"add": loop}, loop, lambda _: True)
