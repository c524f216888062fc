"""Attention of a batch that is laid out in rows, forward and back, as plain products.

For texts of this length they are faster on a processor than torch's fused kernel, and much so on the way
back. The weights of attention are computed again there instead of being kept. Knows rotary positions and
grouped queries. Does not know layers or weights.
"""

import torch
from torch import Tensor

from engine.kernels import turn, turn_back, weigh, weigh_backward
from engine.layout import HeadIndex, Heads, Layout


class Attention:
    """What depends on the lengths of the texts alone: where each head stands, its turn, and who sees whom."""

    def __init__(
        self,
        layout: Layout,
        heads: Heads,
        cosine: Tensor,
        sine: Tensor,
        block: int,
        wanted: Tensor | None = None,
    ) -> None:
        """`cosine` and `sine` by position, (positions, head size), in fp32.

        At most `block` positions look back together, at nothing that comes after the last of them.
        `wanted`: the rows whose outcome anyone reads, as `Layout.choose` gives them; None for all.
        """
        self.wanted = wanted
        self._layout, self._heads = layout, heads
        self._size = cosine.shape[1]
        self._scale = self._size**-0.5
        half = self._size // 2
        self._angles = cosine[:, :half].contiguous(), sine[:, :half].contiguous()
        self._blocks = _cut(layout.positions, block)
        self._index = HeadIndex(layout, heads, self._blocks, wanted)

    def forward(self, joint: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """(rows, all heads x size) -> (wanted rows, query heads x size); what `backward` wants.

        Queries that share a key stand below one another, block by block of positions.
        """
        query = self._turn(joint, self._index.queries)
        key, value = self._turn(joint, self._index.keys), _pick(joint, self._index.values, self._size)
        key, value = self._by_key(key), self._by_key(value)
        mixed = torch.empty_like(query)
        for block, part, out in zip(self._blocks, self._split(query), self._split(mixed), strict=True):
            weights = torch.bmm(part, key[:, : block.stop].mT)
            weigh(weights, block.stop - block.start, block.start, self._scale)
            torch.bmm(weights, value[:, : block.stop], out=out)
        rows = mixed.index_select(0, self._index.outcome)
        return rows.view(-1, self._heads.queries * self._size), (query, key, value)

    def backward(self, gradient: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(wanted rows, query heads x size) -> (rows, all heads x size)."""
        towards = _pick(gradient, self._index.outcome_back, self._size)
        padded = gradient.new_empty(query.numel() + 2 * key.numel())
        queries, keys, values = torch.split(padded, [query.numel(), key.numel(), key.numel()])
        parts = zip(self._blocks, *map(self._split, (query, towards, queries.view(query.shape))), strict=True)
        # The last block looks at everything, and so writes what the others add to.
        for block, part, above, below in reversed(list(parts)):
            weights = torch.bmm(part, key[:, : block.stop].mT)
            scores = torch.bmm(above, value[:, : block.stop].mT)
            weigh_backward(weights, scores, block.stop - block.start, block.start, self._scale)
            torch.bmm(scores, key[:, : block.stop], out=below)
            for found, left, right in ((keys, scores, part), (values, weights, above)):
                gathered = found.view(key.shape)[:, : block.stop]
                if block is self._blocks[-1]:
                    torch.bmm(left.mT, right, out=gathered)
                else:
                    # `baddbmm_` would go through them one by one, since they do not lie side by side.
                    gathered += torch.bmm(left.mT, right)
        for found in (keys, values):
            self._gather_shared(found)
        joint = turn_back(
            padded.view(-1, self._size),
            self._index.joint_back,
            self._heads.turning,
            self._layout.position_of,
            self._angles,
            self._scale,
        )
        joint[self._layout.tokens :] = 0.0
        return joint

    def _turn(self, joint: Tensor, index: Tensor) -> Tensor:
        return turn(joint, index, self._heads.all, self._layout.position_of, self._angles)

    def _by_key(self, heads: Tensor) -> Tensor:
        return heads.view(self._layout.texts * self._heads.keys, -1, self._size)

    def _split(self, queries: Tensor) -> list[Tensor]:
        """Heads one below another -> for each block (texts x key heads, groups x positions, size)."""
        texts = self._layout.texts
        counts = [texts * self._heads.queries * (block.stop - block.start) for block in self._blocks]
        return [part.view(texts * self._heads.keys, -1, self._size) for part in torch.split(queries, counts)]

    def _gather_shared(self, gradient: Tensor) -> None:
        """All texts look at what they share, and its gradient is read from the first text."""
        shared = self._layout.shared
        if shared and self._layout.texts > 1:
            by_text = gradient.view(self._layout.texts, self._heads.keys, -1, self._size)[:, :, :shared]
            by_text[0] = by_text.float().sum(0)


def _pick(rows: Tensor, index: Tensor, size: int) -> Tensor:
    """Heads of this size out of rows."""
    return rows.reshape(-1, size).index_select(0, index)


def _cut(positions: int, block: int) -> list[slice]:
    """As alike as can be."""
    length = -(-positions // -(-positions // block))
    return [slice(start, min(start + length, positions)) for start in range(0, positions, length)]
