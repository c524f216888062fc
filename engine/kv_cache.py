"""Keys and values of many texts in pages, so that a text grows without being moved and shares what it begins
with alike (paged attention, arXiv 2309.06180).

A page holds `PAGE` positions of every layer. Full pages of prompts are kept by what stands in them and before
them, also after their answers have ended, until the room is needed. Knows pages and token ids. Does not know
models, rows of a batch or answers.
"""

import mmap
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

PAGE = 16
"""Positions. Small: the last page of a text is half empty on average, and only whole pages are shared."""
KEPT_BYTES = 2**26
"""Of pages that later prompts may begin with."""
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0)


@dataclass(frozen=True)
class CacheShape:
    """What one position takes: keys and values of `heads` heads of `size` numbers in each layer, in fp32."""

    layers: int
    heads: int
    size: int

    @property
    def position_bytes(self) -> int:
        return 2 * 4 * self.layers * self.heads * self.size

    @property
    def page_bytes(self) -> int:
        return PAGE * self.position_bytes


@dataclass(eq=False)
class Text:
    """Token ids of one text and the pages in which they are, or will be, read."""

    ids: list[int]
    pages: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    """Of each full page of the prompt that is known to be in the cache, or will be after the next pass."""
    shared: int = 0
    """So many positions at the beginning were read for another text."""


def pages_for(positions: int) -> int:
    return -(-positions // PAGE)


class PageCache:
    """The pages of one set of weights. Memory is taken as pages are first written to."""

    def __init__(self, shape: CacheShape, pages: int) -> None:
        self.shape = shape
        self._count = pages
        self._most_kept = max(1, KEPT_BYTES // shape.page_bytes)
        self._fresh = 0
        """Pages from here on were never written to."""
        self._free: list[int] = []
        self._uses: dict[int, int] = {}
        self._page_of: OrderedDict[bytes, int] = OrderedDict()
        """Kept pages, the one that was used longest ago first; being kept counts as a use."""
        self._map_memory()

    def _map_memory(self) -> None:
        shape = self.shape
        length = self._count * shape.page_bytes
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
        self._memory = mmap.mmap(-1, length, flags=flags)
        numbers = np.frombuffer(self._memory, np.float32)
        self.pages: NDArray[np.float32] = numbers.reshape(
            self._count, shape.layers, 2, shape.heads, PAGE, shape.size
        )
        """(page, layer, keys or values, head, position, size)"""

    def begin(self, kind: str, ids: Sequence[int]) -> Text:
        """A text whose `ids` are to be read; pages of another text that begins alike are taken over.

        Texts of different `kind` never share. At least the last id is left to be read. What the next pass
        will write into full pages is shared by texts that begin before that pass as well: it must read texts
        in the order in which they began. Raises MemoryError, with nothing taken, if no page is left.
        """
        text = Text(list(ids))
        try:
            self._take_pages(text, kind)
            self.reserve(text, len(ids))
        except BaseException:
            self.end(text, was_read=False)
            raise
        return text

    def _take_pages(self, text: Text, kind: str) -> None:
        """The full pages of the prompt: those that are known from its beginning on, and new ones after."""
        ids = text.ids
        digest = kind.encode()
        for start in range(0, (len(ids) - 1) // PAGE * PAGE, PAGE):
            part = np.array(ids[start : start + PAGE], np.int64).tobytes()
            digest = sha256(digest + part).digest()
            page = self._page_of.get(digest)
            is_known = page is not None and text.shared == start
            if page is None or not is_known:
                page = self._take()
                self._keep(digest, page)
            else:
                self._page_of.move_to_end(digest)
                self._uses[page] += 1
                text.shared = start + PAGE
            text.pages.append(page)
            text.digests.append(digest)

    def reserve(self, text: Text, positions: int) -> None:
        """Pages for so many positions in all."""
        while len(text.pages) < pages_for(positions):
            text.pages.append(self._take())

    def end(self, text: Text, was_read: bool = True) -> None:
        """The text's own pages are free; the ones that it shares, or could share, stay while there is room.

        Of a text that was not read to its end nothing may be shared.
        """
        if not was_read:
            for digest in text.digests[text.shared // PAGE :]:
                self._forget(digest)
        for page in text.pages:
            self._release(page)
        text.pages, text.digests = [], []

    def let_go(self) -> None:
        """Give the memory of free pages back to the system."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        size = self.shape.page_bytes
        for page in self._free:
            begin = -(-page * size // mmap.PAGESIZE) * mmap.PAGESIZE
            length = (page + 1) * size // mmap.PAGESIZE * mmap.PAGESIZE - begin
            if length > 0:
                self._memory.madvise(mmap.MADV_DONTNEED, begin, length)

    def _take(self) -> int:
        if not self._free and self._fresh == self._count:
            self._forget_oldest()
        if self._free:
            page = self._free.pop()
        else:
            page, self._fresh = self._fresh, self._fresh + 1
        self._uses[page] = 1
        return page

    def _keep(self, digest: bytes, page: int) -> None:
        self._forget(digest)
        self._page_of[digest] = page
        self._uses[page] += 1
        if len(self._page_of) > self._most_kept:
            self._forget(next(iter(self._page_of)))

    def _forget_oldest(self) -> None:
        for digest, page in self._page_of.items():
            if self._uses[page] == 1:
                self._forget(digest)
                return
        raise MemoryError("no page is left")

    def _forget(self, digest: bytes) -> None:
        page = self._page_of.pop(digest, None)
        if page is not None:
            self._release(page)

    def _release(self, page: int) -> None:
        self._uses[page] -= 1
        if not self._uses[page]:
            del self._uses[page]
            self._free.append(page)
