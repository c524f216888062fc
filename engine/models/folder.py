"""Reading the small files of a model folder, and the sentence with which a folder is refused.

Nothing in a folder is trusted: sizes are bounded, and what cannot be read is said. Does not know what the
files mean.
"""

import json
from pathlib import Path
from typing import Any

from engine.contract.failures import EngineFailure

_MAX_JSON_BYTES = 200_000_000
"""The largest tokenizer.json that is published has about 35 MB."""


def unusable(reason: str, remedy: str) -> EngineFailure:
    return EngineFailure(
        "model_unusable", f"This model cannot be tuned here: {reason}.", "Nothing was changed.", remedy
    )


def has_file(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """An object of a JSON file. Raises EngineFailure if it is missing, too large or anything else."""
    file = folder / name
    try:
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise unusable(f"its {name} is too large to be one", "Choose a complete model folder.")
        value = json.loads(file.read_text("utf-8"))
    except PermissionError as error:
        raise unusable(
            f"its {name} may not be read", "Allow reading it, then add the model again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise unusable(
            f"its {name} is missing or cannot be read", "Choose a complete model folder."
        ) from error
    if not isinstance(value, dict):
        raise unusable(f"its {name} is not what it should be", "Choose a complete model folder.")
    return value


def read_json_if_there(folder: Path, name: str) -> dict[str, Any]:
    return read_json(folder, name) if has_file(folder, name) else {}
