"""Which examples are held out for validation: near-duplicates together, so that nothing held out was learnt.

Does not know what a person is told of it, nor tokens or models.
"""

import hashlib
from collections.abc import Sequence

from engine.contract.records import Example
from studio.near_duplicates import group_near_duplicates

_HELD_OUT_SHARE = 0.1
# Fewer held-out examples say nothing reliable; with under 15 examples, a fifth is all that can be spared.
_HELD_OUT_AT_LEAST = 3
_SPARED_AT_MOST = 5


def assign_split(examples: Sequence[Example]) -> list[Example]:
    """Hold out about a tenth for validation, by a hash of each completion.

    Near-duplicates go where the smallest hash among them sends them all. So sorting changes no side, and an
    example stays on its side when rows are added or removed, with three exceptions: a text that was learnt is
    held out from then on if a near-duplicate comes that is held out; a group that only this one held together
    falls apart with it; and a group that is more than a fifth of all examples is always learnt, since holding
    it out would take too much away. Where the hash holds out too few, those next in its order are added; only
    these may return to training later.
    """
    places = _group_places([example.completion for example in examples])
    held_out = _choose_held_out(places)
    return [
        example.model_copy(update={"split": "validation" if place in held_out else "train"})
        for example, place in zip(examples, places, strict=True)
    ]


def find_leaks(examples: Sequence[Example]) -> list[int]:
    """Positions that a split of single rows would hold out although a near-duplicate of them is learnt."""
    completions = [example.completion for example in examples]
    leaks = []
    for group in group_near_duplicates(completions):
        held_out = [position for position in group if _place(completions[position]) < _HELD_OUT_SHARE]
        if len(held_out) < len(group):
            leaks.extend(held_out)
    return sorted(leaks)


def _group_places(completions: Sequence[str]) -> list[float]:
    """Where each completion stands between 0 and 1: the smallest place in its group."""
    places = [_place(completion) for completion in completions]
    for group in group_near_duplicates(completions):
        first = min(places[position] for position in group)
        for position in group:
            places[position] = first
    return places


def _choose_held_out(places: Sequence[float]) -> set[float]:
    sizes = dict.fromkeys(sorted(places), 0)
    for place in places:
        sizes[place] += 1
    can_be_spared = [
        place for place, size in sizes.items() if size == 1 or size * _SPARED_AT_MOST <= len(places)
    ]
    wanted = min(_HELD_OUT_AT_LEAST, len(sizes) // _SPARED_AT_MOST)
    by_hash = sum(place < _HELD_OUT_SHARE for place in can_be_spared)
    return set(can_be_spared[: min(max(by_hash, wanted), len(sizes) - 1)])


def _place(completion: str) -> float:
    """The hash of one completion as a number between 0 and 1, blind to case and spacing."""
    normalised = " ".join(completion.casefold().split())
    return int.from_bytes(hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).digest()[:7]) / 2**56
