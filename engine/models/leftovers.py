"""What an unpacking that was killed leaves in the cache: a folder of as many bytes as the model has.

Does not know what is in it. The names are those of `engine/models/unpacking.py`.
"""

import os
import shutil
from pathlib import Path

from engine.models.unpacking import Unpacking, cache_folder
from engine.processes import take_lock

_PREFIX = ".unpacking-"


def remove_leftovers(source: Path) -> None:
    """Of a GGUF file, whatever its bytes were; what somebody is unpacking now stays."""
    name = Unpacking.of(source, "").name
    for writing in cache_folder().glob(f"{_PREFIX}{name}-{'[0-9a-f]' * 8}-v*"):
        lock = take_lock(writing.with_name(f".{writing.name.removeprefix(_PREFIX)}.lock"))
        if lock is not None:
            shutil.rmtree(writing, ignore_errors=True)
            os.close(lock)
