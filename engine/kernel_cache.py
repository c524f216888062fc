"""Compiled loops that numba keeps on disk: compiled once for a machine by a process of its own, then loaded.

The compiler takes 0.4 GB, and keeps it; and numba optimizes what it runs at once otherwise than what it
keeps, which adds up in another order. What is kept and cannot be read is dropped and compiled again. Leans on
numba's pinned version for where it keeps things. Does not know what the loops do.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

log = logging.getLogger(__name__)

Matches = Callable[[Any], bool]


def load_loops(
    names: Mapping[str, Any], load: Callable[[], None], command: str, last: Any, matches: Matches
) -> float:
    """Call `load`, after `command` was run by another process if nothing is kept; the seconds that took.

    `names` are those of the module whose loops they are, `last` the loop that `load` comes to last, and
    `matches` says of one of its signatures whether it is the one that is loaded.
    """
    begun, waited = time.monotonic(), 0.0
    if not is_kept(names, last, matches):
        # Should it fail, this process compiles.
        subprocess.run([sys.executable, "-P", "-c", command], stdin=subprocess.DEVNULL, check=False)
        waited = time.monotonic() - begun
    try:
        load()
    except Exception:
        # Whatever the damage at hand provokes in pickle, llvmlite or numba.
        log.warning("the compiled loops cannot be loaded: they are compiled again", exc_info=True)
        drop_loops(names)
        load()
    return waited


def is_kept(names: Mapping[str, Any], last: Any, matches: Matches) -> bool:
    """Whether this process or an earlier one has compiled the loop for such a signature."""
    if any(matches(signature) for signature in last.signatures):
        return True
    try:
        # numba looks there itself; what belongs to other source does not count.
        kept = last._cache._cache_file._load_index()
        return any(matches(signature) for signature, *_ in kept)
    except Exception:
        drop_loops(names)
        return False


def drop_loops(names: Mapping[str, Any]) -> None:
    """Delete what is kept of a module's loops."""
    for loop in names.values():
        file = getattr(getattr(loop, "_cache", None), "_cache_file", None)
        if isinstance(loop, Dispatcher) and file is not None:
            prefix = Path(file._index_name).stem
            for kept in Path(file._cache_path).glob(f"{prefix}.*"):
                kept.unlink(missing_ok=True)
