"""What a person is told of an attempt that could not begin, or ended without a word of its own."""

import errno

from engine.contract.failures import EngineFailure, Failure


def describe_crash(*, out_of_memory: bool) -> Failure:
    if out_of_memory:
        return Failure(
            code="out_of_memory",
            what_happened="There was not enough memory for this run, and the system ended it.",
            what_you_have="Your examples and everything saved before are safe.",
            what_to_do="Close other programs, or choose a smaller batch or another method, and start again.",
        )
    return Failure(
        code="trainer_crashed",
        what_happened="The tuning ended unexpectedly three times at the same place.",
        what_you_have="Your examples are safe.",
        what_to_do="Try again, or choose another method.",
    )


def describe_stall() -> Failure:
    return Failure(
        code="stalled",
        what_happened="The tuning stood still again and again without getting any further.",
        what_you_have="Your examples are safe.",
        what_to_do="Close other programs that keep this machine busy, then try again.",
    )


def describe_start_failure(error: EngineFailure | OSError) -> Failure:
    if isinstance(error, EngineFailure):
        return error.failure
    return describe_disk(error, "The tuning could not be started on this machine.")


def describe_disk(error: OSError, otherwise: str = "This could not be saved or read.") -> Failure:
    """A full disk by its name; any other refusal of the file system as `otherwise`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            code="disk_full",
            what_happened="The disk has no room left, so this could not be saved.",
            what_you_have="Everything saved before is still there.",
            what_to_do="Free some space and try again.",
        )
    return Failure(
        code="unexpected",
        what_happened=otherwise,
        what_you_have="Everything saved before is still there.",
        what_to_do="Try again; if it happens once more, restart Voicewright.",
    )
