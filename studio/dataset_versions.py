"""What changed between two versions of a dataset: added, removed, rewritten, and how many stayed.

The order of rows and their numbers do not matter, nor on which side of the split they stand. Pure: does not
know where versions are kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from engine.contract.records import Example
from studio.sentences import split_sentences
from studio.wording import render_count, render_list

# Half of the words in common, either way: below that it is another text.
_ALIKE = 0.5
# A sentence that so many texts share ("Shop now.") says nothing about which belong together.
_SHARED_AT_MOST = 20
_END_WORDS = 4


@dataclass(frozen=True)
class VersionDifference:
    added: tuple[Example, ...]
    removed: tuple[Example, ...]
    changed: tuple[tuple[Example, Example], ...]
    """Before and after: the prompt or the completion was rewritten."""
    unchanged: int
    sentence: str


def compare_versions(before: Sequence[Example], after: Sequence[Example]) -> VersionDifference:
    """Pairs equal examples, then equal completions, then prompts that stand once, then completions alike."""
    old, new = list(before), list(after)
    same = _take_pairs(old, new, lambda example: (example.prompt, example.completion))
    changed = _take_pairs(old, new, lambda example: example.completion)
    changed += _take_pairs(old, new, lambda example: " ".join(example.prompt.split()), only_single=True)
    changed += _take_alike(old, new)
    changed.sort(key=lambda pair: pair[1].row)
    sentence = _say(len(new), len(old), len(changed), len(same))
    return VersionDifference(tuple(new), tuple(old), tuple(changed), len(same), sentence)


def _take_pairs(
    old: list[Example], new: list[Example], key: Callable[[Example], Hashable], only_single: bool = False
) -> list[tuple[Example, Example]]:
    """Pairs of equal keys, removed from both lists; with `only_single`, keys that each list has once."""
    waiting: defaultdict[Hashable, list[Example]] = defaultdict(list)
    for example in reversed(old):
        waiting[key(example)].append(example)
    times = Counter(key(example) for example in new) if only_single else Counter()
    pairs = []
    for example in new:
        candidates = waiting.get(key(example))
        if candidates and not (only_single and (len(candidates) > 1 or times[key(example)] > 1)):
            pairs.append((candidates.pop(), example))
    _remove(old, new, pairs)
    return pairs


def _take_alike(old: list[Example], new: list[Example]) -> list[tuple[Example, Example]]:
    """The most alike first, so that each is paired with what it was made from."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(old):
        for part in _parts(example.completion):
            places[part].append(index)
    bags = [Counter(example.completion.casefold().split()) for example in old]
    found = []
    for index, example in enumerate(new):
        near = {place for part in _parts(example.completion) for place in _few(places.get(part, []))}
        bag = Counter(example.completion.casefold().split())
        found += [
            (likeness, place, index) for place in near if (likeness := _likeness(bags[place], bag)) >= _ALIKE
        ]
    pairs, used_old, used_new = [], set(), set()
    for _, place, index in sorted(found, key=lambda each: (-each[0], each[1], each[2])):
        if place not in used_old and index not in used_new:
            used_old.add(place)
            used_new.add(index)
            pairs.append((old[place], new[index]))
    _remove(old, new, pairs)
    return pairs


def _parts(text: str) -> set[str]:
    """What an edited text still shares with the one before: a sentence, its first or its last words."""
    folded = text.casefold()
    words = folded.split()
    return {*split_sentences(folded), " ".join(words[:_END_WORDS]), "… " + " ".join(words[-_END_WORDS:])}


def _few(places: list[int]) -> list[int]:
    return places if len(places) <= _SHARED_AT_MOST else []


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """Words in common over all words of both."""
    together = (one | other).total()
    return (one & other).total() / together if together else 0.0


def _remove(old: list[Example], new: list[Example], pairs: Iterable[tuple[Example, Example]]) -> None:
    """By identity: equal examples may stand more than once."""
    paired = {id(example) for pair in pairs for example in pair}
    old[:] = [example for example in old if id(example) not in paired]
    new[:] = [example for example in new if id(example) not in paired]


def _say(added: int, removed: int, changed: int, same: int) -> str:
    if not added and not removed and not changed:
        return "The examples are the same."
    counts = ((added, "added"), (removed, "removed"), (changed, "changed"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return f"{render_list(parts).capitalize()}; {render_count(same, 'example')} stayed as they were."
