"""Groups examples by what their prompts begin with: "Write a product description", "Reply to the customer".

A kind is the beginning that many prompts share, as long as it stays shared; names and numbers of what is
asked about are where it ends. Prompts that share no beginning make no kind. Does not know what prompts
mean, nor how long their texts may be: a rule must hold for one prompt alone (`kinds.py`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

# A beginning must be shared by so many prompts (and this share of them) to count as a kind.
_FEWEST, _SHARE = 2, 0.02
# A kind is cut finer only while its parts hold nearly all of it: else the next words are the subject.
_KEPT_WHEN_SPLIT = 0.8
_MOST_PARTS = 6
_MOST_WORDS = 6
# What no beginning ends with: "Write a product description for the" stops before "for".
_NO_END = frozenset(
    re.findall(r"\w+", "a an the our your this to for about of in on with and die der das den einen ein")
)


@dataclass(frozen=True)
class PromptKind:
    """`beginning` is empty for the prompts that share none with others."""

    beginning: str
    examples: int


def find_prompt_kinds(prompts: Sequence[str]) -> tuple[PromptKind, ...]:
    """The kinds, the largest first; every prompt is counted once."""
    words = [prompt.split()[:_MOST_WORDS] for prompt in prompts]
    counts: Counter[str] = Counter()
    for beginning, group in _split((), words, max(_FEWEST, _SHARE * len(words))):
        counts[_trim(beginning)] += len(group)
    return tuple(PromptKind(beginning, count) for beginning, count in counts.most_common())


def _split(
    beginning: tuple[str, ...], prompts: list[list[str]], least: float
) -> list[tuple[tuple[str, ...], list[list[str]]]]:
    """Parts by the next word where they hold nearly all prompts, else the group as it is."""
    depth = len(beginning)
    by_next: defaultdict[str, list[list[str]]] = defaultdict(list)
    for words in prompts:
        by_next[words[depth] if len(words) > depth else ""].append(words)
    shared = {word: group for word, group in by_next.items() if word and len(group) >= least}
    kept = sum(map(len, shared.values()))
    if depth and (kept < _KEPT_WHEN_SPLIT * len(prompts) or len(shared) > _MOST_PARTS):
        return [(beginning, prompts)]
    parts = [part for word, group in shared.items() for part in _split((*beginning, word), group, least)]
    rest = [words for word, group in by_next.items() if word not in shared for words in group]
    return [*parts, (beginning, rest)] if rest else parts


def _trim(beginning: tuple[str, ...]) -> str:
    words = list(beginning)
    while len(words) > 1 and words[-1].casefold() in _NO_END:
        words.pop()
    return " ".join(words).rstrip(":,.")
