"""Texts as one list of rows without padding, and the way to and from the texts side by side.

Whatever treats each token alone (norms, maps, gates) sees rows; attention alone sees texts side by side,
each as long as the longest. What all texts begin with (virtual tokens) stands there once. Knows positions.
Does not know layers, methods or what a row holds.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


class Layout:
    """First the `shared` rows, then the texts' own, one text after the other, then rows that nobody reads.

    Side by side are `texts` x `length` places: the shared rows before each text, padding behind it.
    """

    def __init__(self, lengths: Sequence[int], columns: int, shared: int = 0) -> None:
        """`columns` is how long the longest text may be, without what is shared."""
        self.texts, self.length, self.shared = len(lengths), shared + columns, shared
        own = torch.tensor(lengths)
        self.real = shared + int(own.sum())
        self.rows = round_up(self.real)
        column = torch.arange(columns)
        self._is_own = column < own[:, None]
        row = (shared + own.cumsum(0) - own)[:, None] + column
        self._row = row.where(self._is_own, 0)
        """Of each own place, (texts, columns). Padding repeats the first row: nothing looks at it."""
        place = torch.arange(self.texts)[:, None] * self.length + shared + column
        self._places = torch.cat([torch.arange(shared), place[self._is_own]])
        self._all_places = pad(self._places, (0, self.rows - self.real))
        """Of each row; of those that nobody reads, the first place."""
        self._spread = torch.cat([torch.arange(shared).expand(self.texts, -1), self._row], dim=1).flatten()

    def pick(self, tokens: Tensor) -> Tensor:
        """(texts, columns) -> what stands in the own rows and, as zero, behind them."""
        return pad(tokens[self._is_own], (0, self.rows - self.real))

    def find_rows(self, wanted: Tensor) -> "Some":
        """The rows of the true places of `wanted`, (texts, columns), row by row."""
        return Some(self._row[wanted], self._all_places)

    def spread(self, rows: Tensor) -> Tensor:
        """(rows, size) -> (places, size)."""
        return rows.index_select(0, self._spread)

    def gather(self, places: Tensor, some: "Some | None" = None) -> Tensor:
        """(places, size) -> (rows, size), or those of some; the way back from `spread_gradient`."""
        return places.index_select(0, self._all_places if some is None else some.places)

    def spread_gradient(self, rows: Tensor, some: "Some | None" = None) -> Tensor:
        """The gradient of what `gather` was given from that of what it gave."""
        places = self._places if some is None else some.places[: some.real]
        spread = rows.new_zeros(self.texts * self.length, rows.shape[1])
        return spread.index_copy_(0, places, rows[: len(places)])

    def gather_gradient(self, places: Tensor) -> Tensor:
        """The gradient of what `spread` was given from that of what it gave."""
        rows = places.index_select(0, self._all_places)
        rows[self.real :] = 0
        if self.shared:
            rows[: self.shared] = places.view(self.texts, self.length, -1)[:, : self.shared].sum(0)
        return rows


class Some:
    """Some of a layout's rows, rounded up too; what was added repeats the first row."""

    def __init__(self, rows: Tensor, places: Tensor) -> None:
        """`places` has that of every row."""
        self.real = len(rows)
        self.rows = pad(rows, (0, round_up(self.real) - self.real))
        self.places = places[self.rows]


def round_up(rows: int) -> int:
    """To an eighth of the power of two below: oneDNN compiles and keeps a kernel for every shape in bf16."""
    step = max(16, 1 << max(rows.bit_length() - 4, 0))
    return -(-rows // step) * step
