"""Examples on their way to being kept: what was read, what was changed since, and the way back.

A draft never changes: each change gives another one that remembers those before it. Does not know files,
checks or screens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.records import Example


@dataclass(frozen=True)
class Change:
    """What was done, in one sentence, and the examples as they were before it."""

    sentence: str
    before: tuple[Example, ...]


@dataclass(frozen=True)
class Draft:
    examples: tuple[Example, ...]
    changes: tuple[Change, ...] = ()
    """The last one last."""

    @property
    def revision(self) -> int:
        return len(self.changes)

    def change(self, examples: Sequence[Example], sentence: str) -> "Draft":
        """The draft with other examples; itself if they are the same ones."""
        after = tuple(examples)
        if after == self.examples:
            return self
        return Draft(after, (*self.changes, Change(sentence, self.examples)))

    def undo(self) -> "Draft":
        """The draft before the last change; itself if there was none."""
        return Draft(self.changes[-1].before, self.changes[:-1]) if self.changes else self
