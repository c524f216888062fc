"""Pages of keys and values are taken whole or not at all."""

import pytest

from engine.kv_cache import PAGE, CacheShape, PageCache


def test_a_text_that_finds_no_room_leaves_nothing_behind() -> None:
    cache = PageCache(CacheShape(layers=1, heads=1, size=4), pages=5)
    first = cache.begin("text", list(range(2 * PAGE)))
    long = list(range(PAGE)) + list(range(100, 100 + 4 * PAGE))
    with pytest.raises(MemoryError):
        cache.begin("text", long)

    shorter = cache.begin("text", long[: 3 * PAGE])
    assert shorter.shared == PAGE
    assert len(shorter.pages) == 3
    assert not set(shorter.pages[1:]) & set(first.pages)
