"""Pairs with other names: a model that meets each product under many names has to read the prompt.

A name is a run of capitalised words that prompt and completion share. In both it gives way to an invented
one; the words that say what the thing is ("Ankle Socks") stay. A shared number gives way to another of its
length. Knows text. Does not know tokens or models.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

_WORD = r"[A-Z0-9][\w&'’.-]*\w|[A-Z]"
_RUN = re.compile(rf"\b(?:{_WORD})(?: (?:of |the |and )*(?:{_WORD}))*")
_ONSETS = (*"bcdfghjklmnprstvwz", "br", "cl", "dr", "fl", "gl", "pr", "st", "tr")
_VOWELS = (*"aeiouaeiou", "ai", "ea")
_CODAS = ("", "", "", *"lmnrstx", "nd", "st")
_MODELS = (
    "Pro",
    "Plus",
    "Max",
    "2.0",
    "3.0",
    "X2",
    "X5",
    "500",
    "1000",
    "2000",
    "3000",
    "5000",
    "20L",
    "50L",
)
# The names of these sources say nothing of the thing: the whole name gives way, even one of a single word.
_PROPER_NAMES = frozenset({"e2e", "ghexplore"})


class Renamer:
    """Invents names from syllables and from the words that the names of a shard are made of."""

    def __init__(self, pairs: Iterable[dict[str, str]]) -> None:
        words = {word for pair in pairs if (name := find_name(pair)) for word in name.split()}
        self._words = sorted(word for word in words if word.isalpha() and word[0].isupper())

    def rename(self, pair: dict[str, str], chance: np.random.Generator) -> dict[str, str]:
        """The pair under another name; the pair itself where prompt and completion share none."""
        name = find_name(pair)
        if not name:
            return pair
        if name.isdigit():
            old, new = name, "".join(_pick(chance, "0123456789") for _ in name)
        else:
            words = name.split()
            kept = 0 if pair.get("src") in _PROPER_NAMES else min(2, len(words) - 1)
            old, new = " ".join(words[: len(words) - kept]), self._invent(chance)
        pattern = re.compile(rf"\b{re.escape(old)}(?!\w)")
        return pair | {part: pattern.sub(lambda _: new, pair[part]) for part in ("prompt", "completion")}

    def _invent(self, chance: np.random.Generator) -> str:
        first, second, model = self._word(chance), self._word(chance), _pick(chance, _MODELS)
        return _pick(chance, (first, f"{first} {second}", f"{first}{second}", f"{first} {model}"))

    def _word(self, chance: np.random.Generator) -> str:
        if self._words and chance.random() < 0.6:
            return _pick(chance, self._words)
        syllables = (_pick(chance, part) for _ in range(2) for part in (_ONSETS, _VOWELS, _CODAS))
        return "".join(syllables).capitalize()


def find_name(pair: dict[str, str]) -> str | None:
    """The first name or number of the prompt, without a leading "The", that the completion has too."""
    for run in _RUN.findall(pair["prompt"]):
        words = run.split()
        for start in range(len(words)):
            name = " ".join(words[start:]).removeprefix("The ")
            if _is_name(name, pair.get("src", "")) and re.search(
                rf"\b{re.escape(name)}(?!\w)", pair["completion"]
            ):
                return name
    return None


def _is_name(text: str, source: str) -> bool:
    if text.isdigit():
        return len(text) >= 3
    enough_words = source in _PROPER_NAMES or " " in text
    return enough_words and len(text) > 2 and text[0].isupper() and text != "The"


def _pick(chance: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(chance.integers(len(items)))]
