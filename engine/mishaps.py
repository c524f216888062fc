"""What an error that ended a training means for the person: which failure, what they have, what to do.

Knows error types. Does not know the loop that raised them.
"""

import errno

import torch

from engine.contract.failures import EngineFailure, Failure
from engine.contract.records import Recipe

_SAFE = "Your examples and settings are safe."
# The CPU's and Apple's allocators raise a plain RuntimeError.
_ALLOCATOR_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


class DivergedError(Exception):
    """The loss or the gradient is no longer a number; `step` is the optimizer step that found out."""

    def __init__(self, step: int) -> None:
        super().__init__(f"not a number at step {step}")
        self.step = step


def explain(error: BaseException, recipe: Recipe) -> Failure:
    if isinstance(error, EngineFailure):
        return error.failure
    if isinstance(error, DivergedError):
        return _diverged(error, recipe)
    if is_out_of_memory(error):
        return _out_of_memory(recipe)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            code="disk_full",
            what_happened="The disk is full, so the tuning could not save its work.",
            what_you_have=_SAFE,
            what_to_do="Free some space and start again.",
        )
    return Failure(
        code="unexpected",
        what_happened="Something unexpected ended the tuning.",
        what_you_have=_SAFE,
        what_to_do="Start it again; if it ends the same way, the run's log says more.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATOR_WORDS)


def _diverged(error: DivergedError, recipe: Recipe) -> Failure:
    rate = recipe.learning_rate or 1e-3
    return Failure(
        code="diverged",
        what_happened=f"The tuning lost its way at step {error.step}: the loss was no longer a number.",
        what_you_have=_SAFE,
        what_to_do=f"Start again with a smaller learning rate, such as {rate / 3:.1g}.",
    )


def _out_of_memory(recipe: Recipe) -> Failure:
    smaller = max(1, (recipe.batch_size or 2) // 2)
    lighter = "" if recipe.method == "last-layers" else " The method “last layers” needs less memory."
    return Failure(
        code="out_of_memory",
        what_happened="This machine ran out of memory while tuning.",
        what_you_have=_SAFE,
        what_to_do=f"Close other programs and start again, or set the batch size to {smaller}.{lighter}",
    )
