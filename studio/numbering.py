"""Every example gets a row number of its own, so that a finding or a repair names exactly one.

Rows of a table keep their numbers. Examples added by hand (row 0), and those whose number is taken already
because two tables were put together, are numbered on after the last row: as if they were typed below it.
"""

from collections.abc import Sequence

from engine.contract.records import Example

# The header is row 1 of every table.
_FIRST_ROW = 2


def number_rows(examples: Sequence[Example]) -> list[Example]:
    """The same examples in the same order, no two with one number; numbering again changes nothing."""
    taken: set[int] = set()
    following = max((example.row for example in examples), default=0) + 1
    following = max(following, _FIRST_ROW)
    numbered = []
    for example in examples:
        if example.row == 0 or example.row in taken:
            example = example.model_copy(update={"row": following})
            following += 1
        taken.add(example.row)
        numbered.append(example)
    return numbered
