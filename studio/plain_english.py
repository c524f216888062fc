"""How often words stand in plain English: the measure of what is a brand's own word and what is ordinary.

    python -m studio.plain_english CORPUS       # writes assets/words/plain_english.txt anew

The list is counted from US government web pages and short stories, all CC0 or public domain
(assets/words/LICENSE.md). It holds words that are mostly written small, so names are not among them.
Does not know what a word means, nor other languages.
"""

import json
import lzma
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from studio.prose import read_prose
from studio.sentences import normalise_word

FILE = Path(__file__).resolve().parent.parent / "assets" / "words" / "plain_english.txt"
_WORDS_KEPT = 6_000
COMMON_WORDS = 2_000
# English of any brand tried has 60 to 85 in a hundred words among these, German, French or Spanish under 15.
_ENGLISH_FROM = 0.4
# Shard -> the sources in it that are CC0 or US government work. Either register counts half.
REGISTERS = {
    "prose_gov_web": ("digitalgov", "vagov", "logingov"),
    "prose_fiction_late": ("ohenry", "jacklondon"),
}
_ENDINGS = (
    *(("'s", ""), ("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ly", "")),
    *(("ing", ""), ("ing", "e"), ("er", ""), ("er", "e"), ("est", ""), ("est", "e")),
)
# Rarer than the list reaches: about half of its last word's share.
_UNLISTED = 5e-6


@cache
def load_shares() -> dict[str, float]:
    """Word in lower case → its share of all words, the commonest first."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return {word: int(count) / 1e6 for word, count in (line.split("\t") for line in lines)}


def find_share(word: str) -> float:
    """The share of a word in lower case; a small one for those that the list does not reach."""
    return load_shares().get(word, _UNLISTED)


@lru_cache(maxsize=65_536)
def is_ordinary(word: str) -> bool:
    """Whether a word in lower case, or the word it is a plural or a past of, is on the list."""
    shares = load_shares()
    if word in shares:
        return True
    return any(
        word.endswith(ending) and word.removesuffix(ending) + put in shares for ending, put in _ENDINGS
    )


def plain_share(counts: Mapping[str, int]) -> float:
    """Which share of running words is among the commonest `COMMON_WORDS`, of words that hold no digits."""
    common = set(list(load_shares())[:COMMON_WORDS])
    total = sum(count for word, count in counts.items() if not word.isdigit())
    return sum(count for word, count in counts.items() if word in common) / total if total else 0.0


def is_english(counts: Mapping[str, int]) -> bool:
    return plain_share(counts) >= _ENGLISH_FROM


def count_shares(corpus: Path) -> dict[str, int]:
    """Words per million in both registers, each of them half."""
    shares: defaultdict[str, float] = defaultdict(float)
    small: defaultdict[str, float] = defaultdict(float)
    for shard, sources in REGISTERS.items():
        words = Counter(_read_words(corpus / f"{shard}.jsonl.xz", sources))
        total = sum(words.values())
        for word, count in words.items():
            shares[normalise_word(word)] += count / total / len(REGISTERS)
            small[normalise_word(word)] += count / total / len(REGISTERS) if word.islower() else 0
    kept = [
        word
        for word, share in sorted(shares.items(), key=lambda item: -item[1])
        if word.replace("'", "").isalpha() and small[word] > share / 2
    ]
    return {word: round(shares[word] * 1e6) for word in kept[:_WORDS_KEPT]}


def _read_words(shard: Path, sources: tuple[str, ...]) -> Iterator[str]:
    with lzma.open(shard, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["src"] in sources:
                yield from (word.text for word in read_prose(record["text"]).words if not word.begins)


if __name__ == "__main__":
    counted = count_shares(Path(sys.argv[1]))
    FILE.write_text("".join(f"{word}\t{count}\n" for word, count in counted.items()), encoding="utf-8")
