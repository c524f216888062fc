"""Which texts are nearly the same: groups of them, by the pairs of neighbouring words that they share.

MinHash signatures (rensa) find the candidates; what counts is then computed exactly. The same texts in the
same order give the same groups on every machine. Does not know rows, prompts or what becomes of a group.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from studio.words import split_words

# Shared word pairs of all word pairs. One word changed in twelve leaves 0.69, one in eight 0.56.
_SIMILARITY = 0.6
# Below this many words only texts that are equal but for case, spacing and punctuation count.
_WORDS_AT_LEAST = 6
_SIGNATURE = 128
_SEED = 1
# 25 bands of 5: 99 in 100 pairs of similarity 0.7 agree in one, of 0.33 one in ten.
_BAND = 5
# In one band a text is held against this many neighbours only: work grows with the texts, not their square.
_NEIGHBOURS = 2
# Three standard errors of a signature under `_SIMILARITY`.
_ESTIMATE_AT_LEAST = 0.47

Pairs = NDArray[np.int64]


def group_near_duplicates(texts: Sequence[str]) -> list[list[int]]:
    """Groups of two and more positions whose texts are nearly the same, each in order, first ones first.

    Nearness carries over: if A is near B and B near C, all three are one group.
    """
    return [list(group) for group in _group(tuple(texts))]


@lru_cache(maxsize=2)
def _group(texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Remembered for the split, which asks for the same groups right after the doctor."""
    words = [split_words(text) for text in texts]
    links = _Links(len(texts))
    firsts: dict[str, int] = {}
    for position, (text, parts) in enumerate(zip(texts, words, strict=True)):
        links.join(position, firsts.setdefault(" ".join(parts) or text.strip(), position))
    long = [position for position in firsts.values() if len(words[position]) >= _WORDS_AT_LEAST]
    if len(long) > 1:
        _join_similar(long, words, links)
    return links.groups()


def _join_similar(positions: list[int], words: list[list[str]], links: "_Links") -> None:
    shingles = [_shingles(words[position]) for position in positions]
    signatures = _sign(shingles)
    for left, right in _find_candidates(signatures).tolist():
        first, second = positions[left], positions[right]
        if not links.joined(first, second) and _similarity(shingles[left], shingles[right]) >= _SIMILARITY:
            links.join(first, second)


def _shingles(words: list[str]) -> set[str]:
    return {f"{first} {second}" for first, second in pairwise(words)}


def _similarity(left: set[str], right: set[str]) -> float:
    """Jaccard's index."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def _sign(shingles: Iterable[set[str]]) -> NDArray[np.uint32]:
    matrix = RMinHash.digest_matrix_from_token_sets(shingles, num_perm=_SIGNATURE, seed=_SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32)


def _find_candidates(signatures: NDArray[np.uint32]) -> Pairs:
    """Pairs that agree in one band and are likely to be similar, each once."""
    found = [_neighbours(signatures, start) for start in range(0, _SIGNATURE - _BAND + 1, _BAND)]
    pairs = np.unique(np.concatenate(found), axis=0)
    likely = [
        np.count_nonzero(signatures[part[:, 0]] == signatures[part[:, 1]], axis=1)
        >= _ESTIMATE_AT_LEAST * _SIGNATURE
        for part in np.array_split(pairs, len(pairs) // 50_000 + 1)
    ]
    chosen: Pairs = pairs[np.concatenate(likely)]
    return chosen


def _neighbours(signatures: NDArray[np.uint32], start: int) -> Pairs:
    """Sorted by this band and then by the next: the more a pair shares, the closer it stands."""
    columns = [(start + offset) % _SIGNATURE for offset in range(2 * _BAND)]
    order = np.lexsort(signatures[:, columns[::-1]].T)
    band = signatures[order][:, columns[:_BAND]]
    pairs = []
    for step in range(1, _NEIGHBOURS + 1):
        agrees = (band[step:] == band[:-step]).all(axis=1)
        pairs.append(np.stack([order[:-step][agrees], order[step:][agrees]], axis=1))
    return np.sort(np.concatenate(pairs), axis=1)


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
