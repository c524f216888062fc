"""Attention of a batch that is laid out in rows, forward and back, as plain products.

For texts of this length they are faster on a processor than torch's fused kernel, and much so on the way
back. The weights of attention are computed again there instead of being kept. Knows rotary positions and
grouped queries. Does not know layers or weights.
"""

import torch
from torch import Tensor

from engine.layout import HeadIndex, Heads, Layout


class Attention:
    """What depends on the lengths of the texts alone: where each head stands, its turn, and who sees whom.

    Rotary positions (arXiv 2104.09864), the halves of a head as the two coordinates, as Llama has them.
    """

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
        self._half = self._size // 2
        self._scale = self._size**-0.5
        self._cosine = cosine[layout.position_of][:, None]
        self._sine = sine[layout.position_of][:, None, : self._half]
        self._blocks = _cut(layout.positions, block)
        self._index = HeadIndex(layout, heads, self._blocks, wanted)
        self._mask = cosine.new_full((layout.positions,) * 2, -torch.inf).triu_(diagonal=1)

    def forward(self, joint: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """(rows, all heads x size) -> (wanted rows, query heads x size); what `backward` wants.

        Queries that share a key stand below one another, block by block of positions.
        """
        apart = joint.view(-1, self._heads.all, self._size)
        turned = self._turn(apart[:, : self._heads.turning].float(), 1).to(joint.dtype)
        query = turned.view(-1, self._size).index_select(0, self._index.queries)
        key, value = self._pick(turned, self._index.keys), self._pick(apart, self._index.values)
        mixed = torch.empty_like(query)
        for block, part, out in zip(self._blocks, self._split(query), self._split(mixed), strict=True):
            weights = self._weigh(part, key, block).to(value.dtype)
            torch.bmm(weights, value[:, : block.stop], out=out)
        rows = mixed.index_select(0, self._index.outcome)
        return rows.view(-1, self._heads.queries * self._size), (query, key, value)

    def backward(self, gradient: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(wanted rows, query heads x size) -> (rows, all heads x size)."""
        towards = gradient.reshape(-1, self._size).index_select(0, self._index.outcome_back)
        padded = gradient.new_empty(query.numel() + 2 * key.numel())
        queries, keys, values = torch.split(padded, [query.numel(), key.numel(), key.numel()])
        parts = zip(self._blocks, *map(self._split, (query, towards, queries.view(query.shape))), strict=True)
        # The last block looks at everything, and so writes what the others add to.
        for block, part, above, below in reversed(list(parts)):
            weights = self._weigh(part, key, block)
            inner = torch.bmm(above, value[:, : block.stop].mT).float().mul_(weights)
            # The way back through a softmax: what all weights of a row have in common changes nothing.
            scores = inner.addcmul_(weights, inner.sum(-1, keepdim=True), value=-1).to(key.dtype)
            torch.bmm(scores, key[:, : block.stop], out=below)
            for found, left, right in (
                (keys, scores, part),
                (values, weights.to(value.dtype), above),
            ):
                gathered = found.view(key.shape)[:, : block.stop]
                if block is self._blocks[-1]:
                    torch.bmm(left.mT, right, out=gathered)
                else:
                    gathered.baddbmm_(left.mT, right)
        for found in (keys, values):
            self._gather_shared(found)
        joint = padded.view(-1, self._size).index_select(0, self._index.joint_back)
        joint = joint.view(-1, self._heads.all, self._size)
        turned = joint[:, : self._heads.turning]
        turned.copy_(self._turn(turned.float(), -1).mul_(self._scale))
        joint[self._layout.tokens :] = 0.0
        return joint.view(len(joint), -1)

    def _split(self, queries: Tensor) -> list[Tensor]:
        """Heads one below another -> for each block (texts x key heads, groups x positions, size)."""
        texts = self._layout.texts
        counts = [texts * self._heads.queries * (block.stop - block.start) for block in self._blocks]
        return [part.view(texts * self._heads.keys, -1, self._size) for part in torch.split(queries, counts)]

    def _pick(self, heads: Tensor, index: Tensor) -> Tensor:
        """From rows to padded texts."""
        picked = heads.reshape(-1, self._size).index_select(0, index)
        return picked.view(self._layout.texts * self._heads.keys, -1, self._size)

    def _turn(self, heads: Tensor, sign: int) -> Tensor:
        """(rows, heads that turn, size), in fp32 -> the same, turned; with -1 turned back."""
        first, second = heads[..., : self._half], heads[..., self._half :]
        turned = heads * self._cosine
        turned[..., : self._half].addcmul_(second, self._sine, value=-sign)
        turned[..., self._half :].addcmul_(first, self._sine, value=sign)
        return turned

    def _weigh(self, query: Tensor, key: Tensor, block: slice) -> Tensor:
        """The weights of attention, (texts x key heads, groups x positions, positions seen), in fp32."""
        mask = self._mask[block, : block.stop]
        scores = torch.bmm(query, key[:, : block.stop].mT).view(len(query), -1, *mask.shape).float()
        torch.add(mask, scores, alpha=self._scale, out=scores)
        weights: Tensor = scores.softmax(-1)
        return weights.view(len(query), -1, block.stop)

    def _gather_shared(self, gradient: Tensor) -> None:
        """All texts look at what they share, and its gradient is read from the first text."""
        shared = self._layout.shared
        if shared and self._layout.texts > 1:
            by_text = gradient.view(self._layout.texts, self._heads.keys, -1, self._size)[:, :, :shared]
            by_text[0] = by_text.float().sum(0)


def _cut(positions: int, block: int) -> list[slice]:
    """As alike as can be."""
    length = -(-positions // -(-positions // block))
    return [slice(start, min(start + length, positions)) for start in range(0, positions, length)]
