"""How many years of school an English text asks of its reader: the Flesch-Kincaid grade.

J. P. Kincaid, R. P. Fishburne, R. L. Rogers, B. S. Chissom: Derivation of new readability formulas for Navy
enlisted personnel, Research Branch Report 8-75, 1975. Syllables are counted by rules of English spelling,
right for nearly every word. Knows no other language, for which the formula means nothing.
"""

import re
from collections import Counter
from functools import lru_cache

from studio.prose import Prose

# The grade of a line of a few words swings by several years with a single word.
_FEWEST_WORDS = 12
_VOWELS = re.compile(r"[aeiouyàâäéèêëíîïóôöúûü]+")
# A vowel that is written and not spoken: "make", "makes", "baked", "unique", "lovely", "everyday".
_SILENT = re.compile(
    r"(?<![aeiouy])(?<![^aeiouyl]l)(?<![bt]r)e$|(?<![aeiouysxzcg])(?<![cs]h)(?<![^aeiouyl]l)es$"
    r"|(?<![aeiouytd])(?<![^aeiouyl]l)ed$|[gq]ue$|[^aeiouy]e(?=(?:ly|ty|ness|ful|ment|less)$)"
    r"|^every|^some(?=[a-z]{3})|^evening|^busine"
)
# Two vowels side by side that are two syllables, or a syllable without a vowel of its own.
_PARTED = re.compile(
    r"crea(?!m|k|s)|(?<=r)eali|idea|^area|^thea|[aeiouy]ing|eo(?!ple|us|n)|eum|yee|uou|oe(?=[mt])"
    r"|(?<![ctgl])ia(?!ge)|lia(?![rn])|^lion|(?<![ctsglnx])io|vio|(?<![ct])ie(?=n[ct]|t)|sci|ciet"
    r"|(?<=[a-z]{2}[^aeiouct])ier$|(?<!pr)iest$|(?<![qg])ual|(?<![qgs])uat|(?<![qg])ue(?=l|n[ct])"
    r"|(?<![qgbs])ui(?=n|d)|^gia|(?<=is)ms?$|(?<=as)ms?$|(?<=yth)ms?$"
)
_CONTRACTED = frozenset(("s", "t", "d", "m", "ll", "re", "ve"))
_IRREGULAR = {"one": 1, "ones": 1, "once": 1, "aisle": 1, "someone": 2, "everyone": 3, "anyone": 3}


def find_grade(prose: Prose) -> float | None:
    """Of one text: the school year from which a reader is at ease; None if too short, or not in English."""
    if len(prose.lower) < _FEWEST_WORDS or not prose.is_english:
        return None
    # A number stands in pieces there ("2", "500"), which nobody speaks as such.
    counts = [count_syllables(word) for word in prose.lower if not word.isdigit()]
    return _apply_formula(sum(counts), len(counts) - counts.count(0), prose.sentences)


def grade_of(words: Counter[str], sentences: int) -> float | None:
    """The grade of many texts in English, whose words and sentences were counted before."""
    if words.total() < _FEWEST_WORDS:
        return None
    counts = [(count_syllables(word), times) for word, times in words.items()]
    spoken = sum(times for syllables, times in counts if syllables)
    return _apply_formula(sum(syllables * times for syllables, times in counts), spoken, sentences)


def _apply_formula(syllables: int, words: int, sentences: int) -> float | None:
    if words == 0 or sentences == 0:
        return None
    return 0.39 * words / sentences + 11.8 * syllables / words - 15.59


@lru_cache(maxsize=65_536)
def count_syllables(word: str) -> int:
    """By the groups of vowels; 0 for what has no Latin letters. A number counts as one."""
    plain = word.casefold().replace("’", "'")
    parts = [part for part in re.split(r"[-'\W\d_]+", plain) if part]
    if not parts:
        return int(any(sign.isdigit() for sign in word))
    first, *others = parts
    return sum(map(_count_in_part, [first, *(part for part in others if part not in _CONTRACTED)]))


def _count_in_part(part: str) -> int:
    groups = len(_VOWELS.findall(part))
    if not groups:
        # "hmm", "TV": spoken somehow.
        return int(any("a" <= sign <= "z" for sign in part))
    if groups < 2 or part in _IRREGULAR:
        # Also "lion", "diet": parted vowels can stand in the only group.
        return _IRREGULAR.get(part) or 1 + len(_PARTED.findall(part))
    return max(1, groups + len(_PARTED.findall(part)) - len(_SILENT.findall(part)))
