"""Examples on their way to being kept: what was read, what was changed since, and the way back.

A draft never changes: each change gives another one that remembers those before it. Does not know files,
checks or screens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from engine.contract.records import Example


@dataclass(frozen=True)
class Change:
    """What was done, in one sentence, and the draft as it was before it."""

    sentence: str
    before: "Draft"


@dataclass(frozen=True)
class Draft:
    examples: tuple[Example, ...]
    changes: tuple[Change, ...] = ()
    """The last one last."""
    id: str = field(default_factory=lambda: uuid4().hex, compare=False)
    """Of this state: what was worked out for it can be remembered under it."""

    def change(self, examples: Sequence[Example], sentence: str) -> "Draft":
        """The draft with other examples; itself if they are the same ones."""
        after = tuple(examples)
        if after == self.examples:
            return self
        return Draft(after, (*self.changes, Change(sentence, self)))

    def undo(self) -> "Draft":
        """The draft before the last change; itself if there was none."""
        return self.changes[-1].before if self.changes else self
