"""Answers that advance together, whatever computes them: what a row is, and what a batch of rows can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.contract.records import Side
from engine.sampling import Decoding, Delta


@dataclass(eq=False)
class Row:
    """One answer of one side."""

    side: Side
    decoding: Decoding


Steps = list[tuple[Row, Delta]]
"""What each row added; a row whose Delta has `ended_by` has left."""


class AnswerBatch(Protocol):
    """Rows join and leave while others go on; what one says does not depend on what is written beside it."""

    @property
    def rows(self) -> tuple[Row, ...]: ...
    def has_room_for(self, rows: Sequence[Row]) -> bool:
        """Whether these may begin now; a single one always may."""
        ...

    def begin(self, rows: Sequence[Row]) -> Steps:
        """The first token of new answers, which then go on with the others; an error leaves those alone."""
        ...

    def advance(self) -> Steps:
        """One more token of each; after an error all are lost and none is left."""
        ...

    def leave(self, rows: Sequence[Row]) -> None:
        """Give these up, whether they are here or not."""
        ...
