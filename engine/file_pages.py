"""Weights that lie in a model's file, as the system maps it into memory, and that nobody reads for a while.

What has been read of a mapped file counts as memory of the process that read it, until the process lets go of
it. Knows how Linux maps files; elsewhere nothing is let go of.
"""

import ctypes
import mmap
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from torch import Tensor

_MAPPINGS = Path("/proc/self/maps")
_DO_NOT_NEED = getattr(mmap, "MADV_DONTNEED", None)


class MappedFiles:
    """The files that this process has mapped now; not to be kept for longer than they are."""

    def __init__(self) -> None:
        self._mapped = _mapped_files()
        self._starts = [start for start, _ in self._mapped]

    def let_go(self, weights: Iterable[Tensor]) -> int:
        """The bytes that these weights no longer take here; whoever reads them again reads the file.

        Only whole pages of a file are let go of: memory of any other kind would lose what it holds. No weight
        may have been written to since it was loaded.
        """
        released = 0
        for weight in weights:
            first = -(-weight.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (weight.data_ptr() + weight.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
            place = bisect_right(self._starts, first) - 1
            if place >= 0 and first < end <= self._mapped[place][1] and _advise(first, end - first):
                released += end - first
        return released


def _mapped_files() -> list[tuple[int, int]]:
    """(first address, address behind the last) of every file that this process has mapped, in order.

    proc(5): "address perms offset dev inode pathname"; only a file has an inode.
    """
    found = []
    with suppress(OSError):
        for line in _MAPPINGS.read_text(errors="replace").splitlines():
            addresses, _, _, _, inode = line.split(maxsplit=5)[:5]
            if inode != "0":
                start, _, end = addresses.partition("-")
                found.append((int(start, 16), int(end, 16)))
    return found


def _advise(address: int, length: int) -> bool:
    """madvise(2), which Python offers for its own mappings alone."""
    if _DO_NOT_NEED is None:
        return False
    advise = ctypes.CDLL(None, use_errno=True).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return bool(advise(address, length, _DO_NOT_NEED) == 0)
