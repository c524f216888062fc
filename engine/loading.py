"""A loader's failure as a sentence: which of a run's folders could not be loaded, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import torch

from engine.contract.failures import EngineFailure

T = TypeVar("T")


def load_or_fail(
    load: Callable[[Path], T], folder: Path, code: Literal["model_unusable", "artefact_damaged"]
) -> T:
    try:
        return load(folder)
    except (MemoryError, torch.OutOfMemoryError, EngineFailure):
        raise
    except Exception as error:
        # The loaders raise whatever the file at hand provokes: OSError, KeyError, RuntimeError, UserWarning.
        what = "The base model" if code == "model_unusable" else "The tuned voice"
        raise EngineFailure(
            code,
            f"{what} could not be loaded: its files are missing or damaged.",
            "Your examples are as they were.",
            "Choose another base model." if code == "model_unusable" else "Tune the voice again.",
        ) from error
