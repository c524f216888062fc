"""Which texts are nearly the same: groups of them, by the pairs of neighbouring words that they share.

MinHash signatures (rensa) find the candidates; what counts is then computed exactly. The same texts in the
same order give the same groups on every machine. Does not know rows, prompts or what becomes of a group.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from studio.words import split_all

# Shared word pairs of all word pairs. One word changed in twelve leaves 0.69, one in eight 0.56.
_SIMILARITY = 0.6
# Below this many words only texts that are equal but for case, spacing and punctuation count.
_WORDS_AT_LEAST = 6
_SIGNATURE = 128
_SEED = 1
# 32 bands of 4: 99 in 100 pairs of similarity 0.6 agree in one, of 0.33 one in three.
_BAND = 4
# In one band a text is held against this many neighbours only: work grows with the texts, not their square.
_NEIGHBOURS = 2
# Three standard errors of a signature under `_SIMILARITY`.
_ESTIMATE_AT_LEAST = 0.47

# Odd numbers of 64 bits (the golden ratio's and Knuth's): they spread a hash of 32 bits over all of them.
_MIXERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(6364136223846793005))

Pairs = NDArray[np.int64]


def group_near_duplicates(texts: Sequence[str]) -> list[list[int]]:
    """Groups of two and more positions whose texts are nearly the same, each in order, first ones first.

    Nearness carries over: if A is near B and B near C, all three are one group.
    """
    return [list(group) for group in _group(tuple(texts))]


@lru_cache(maxsize=2)
def _group(texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Remembered for the split, which asks for the same groups right after the doctor."""
    words = split_all(texts)
    links = _Links(len(texts))
    firsts: dict[str, int] = {}
    for position, (text, parts) in enumerate(zip(texts, words, strict=True)):
        links.join(position, firsts.setdefault(" ".join(parts) or text.strip(), position))
    long = [position for position in firsts.values() if len(words[position]) >= _WORDS_AT_LEAST]
    if len(long) > 1:
        _join_similar(long, words, links)
    return links.groups()


def _join_similar(positions: list[int], words: list[list[str]], links: "_Links") -> None:
    signatures = _sign([words[position] for position in positions])
    for left, right in _find_candidates(signatures).tolist():
        first, second = positions[left], positions[right]
        if not links.joined(first, second) and _similarity(words[first], words[second]) >= _SIMILARITY:
            links.join(first, second)


def _similarity(left: list[str], right: list[str]) -> float:
    """Jaccard's index of the word pairs."""
    first, second = set(pairwise(left)), set(pairwise(right))
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _sign(words: Sequence[list[str]]) -> NDArray[np.uint32]:
    """A signature of each text's word pairs; the pairs of all texts are hashed in one go."""
    lengths = np.array([len(parts) for parts in words])
    flat = list(chain.from_iterable(words))
    codes = {word: crc32(word.encode("utf-8", "surrogatepass")) for word in set(flat)}
    hashes = np.fromiter(map(codes.__getitem__, flat), np.uint64, len(flat))
    pairs = hashes[:-1] * _MIXERS[0] + hashes[1:] * _MIXERS[1]
    within = np.delete(pairs ^ (pairs >> np.uint64(32)), np.cumsum(lengths)[:-1] - 1)
    starts = np.concatenate([[0], np.cumsum(lengths - 1)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(within, starts, num_perm=_SIGNATURE, seed=_SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32)


def _find_candidates(signatures: NDArray[np.uint32]) -> Pairs:
    """Pairs that agree in one band and are likely to be similar, each once."""
    count = len(signatures)
    found = np.unique(
        np.concatenate([_neighbours(signatures, start) for start in range(0, _SIGNATURE, _BAND)])
    )
    pairs = np.stack(np.divmod(found, count), axis=1)
    likely = [
        np.count_nonzero(signatures[part[:, 0]] == signatures[part[:, 1]], axis=1)
        >= _ESTIMATE_AT_LEAST * _SIGNATURE
        for part in np.array_split(pairs, len(pairs) // 50_000 + 1)
    ]
    chosen: Pairs = pairs[np.concatenate(likely)]
    return chosen


def _neighbours(signatures: NDArray[np.uint32], start: int) -> Pairs:
    """Pairs as one number each. Sorted by this band, then by the next: what shares more stands closer."""
    columns = [(start + offset) % _SIGNATURE for offset in range(2 * _BAND)]
    # Two values are sorted as one of twice the width, in half the time.
    keys = np.ascontiguousarray(signatures[:, columns]).view(np.uint64)
    order = np.lexsort(keys.T[::-1])
    band = keys[order, : _BAND // 2]
    found = []
    for step in range(1, _NEIGHBOURS + 1):
        agrees = (band[step:] == band[:-step]).all(axis=1)
        left, right = order[:-step][agrees], order[step:][agrees]
        found.append(np.minimum(left, right) * len(order) + np.maximum(left, right))
    return np.concatenate(found)


class _Links:
    """Which positions are joined, directly or through others (a disjoint-set forest)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, first: int, second: int) -> None:
        """The smaller position stands for both."""
        low, high = sorted((self._root(first), self._root(second)))
        self._parents[high] = low

    def joined(self, first: int, second: int) -> bool:
        return self._root(first) == self._root(second)

    def groups(self) -> tuple[tuple[int, ...], ...]:
        members: defaultdict[int, list[int]] = defaultdict(list)
        for position in range(len(self._parents)):
            members[self._root(position)].append(position)
        return tuple(tuple(group) for group in members.values() if len(group) > 1)

    def _root(self, position: int) -> int:
        while self._parents[position] != position:
            self._parents[position] = self._parents[self._parents[position]]
            position = self._parents[position]
        return position
