"""A frozen version of a project's examples on disk: canonical JSON lines and their fingerprint.

Knows the file format and what makes a dataset usable. Does not know the database, tokens or methods.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from engine.contract.failures import EngineFailure
from engine.contract.records import MIN_EXAMPLES, Example
from engine.faults import reach
from engine.workspace import write_durably


def render_examples(examples: Sequence[Example]) -> bytes:
    """One JSON object a line in the order given: the same examples always give the same bytes."""
    return b"".join(_render_example(example) for example in examples)


def _render_example(example: Example) -> bytes:
    # Without turns the line is as it was before there were any: datasets keep their fingerprints.
    left_out = None if example.turns else {"turns"}
    return example.model_dump_json(exclude=left_out).encode() + b"\n"


def fingerprint_of(lines: bytes) -> str:
    return sha256(lines).hexdigest()


def read_examples(file: Path) -> list[Example]:
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        raise EngineFailure(
            "not_found", "The examples of this project can no longer be found.", "", "Upload them once more."
        ) from None
    return [Example.model_validate_json(line) for line in lines]


def save_examples(file: Path, lines: bytes) -> None:
    reach("dataset_file")
    write_durably(file, lines)


def remove_unfinished(folder: Path) -> None:
    """What was being written when the machine went down; called while nobody writes there."""
    for file in folder.glob(".*.tmp"):
        file.unlink()


def check_examples(examples: Sequence[Example]) -> None:
    """Raise EngineFailure unless there is enough to learn from and something to check with."""
    if len(examples) < MIN_EXAMPLES:
        raise EngineFailure(
            "too_few_examples",
            f"There are {len(examples)} examples; it takes at least {MIN_EXAMPLES}.",
            "Your file was not changed.",
            "Add more examples of the voice.",
        )
    splits = {example.split for example in examples}
    if splits != {"train", "validation"}:
        lacking = "to learn from" if "train" not in splits else "held out to check with"
        raise EngineFailure(
            "too_few_examples",
            f"No examples are {lacking}.",
            "Your file was not changed.",
            "Add more examples.",
        )
