"""How many years of school an English text asks of its reader: the Flesch-Kincaid grade.

J. P. Kincaid, R. P. Fishburne, R. L. Rogers, B. S. Chissom: Derivation of new readability formulas for Navy
enlisted personnel, Research Branch Report 8-75, 1975. Syllables are counted by rules of English spelling; the
formula means nothing for other languages, and this module does not know which language a text is in.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from studio.sentences import split_sentences, split_words

# The formula was made on passages; one long word in a short line would decide alone.
_FEWEST_WORDS = 10
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
_IRREGULAR = {"one": 1, "ones": 1, "once": 1, "aisle": 1, "someone": 2, "everyone": 3, "anyone": 3}


def reading_grade(text: str) -> float | None:
    """The school year from which a reader is at ease; None if too short to say, or not in Latin letters."""
    words = split_words(text)
    return grade_of(Counter(words), len(split_sentences(text)))


def grade_of(words: Mapping[str, int], sentences: int) -> float | None:
    """The grade of words and sentences that were counted before."""
    spoken = [(syllables, count) for word, count in words.items() if (syllables := count_syllables(word))]
    total = sum(count for _, count in spoken)
    if total < _FEWEST_WORDS or sentences == 0:
        return None
    syllables = sum(syllables * count for syllables, count in spoken)
    return 0.39 * total / sentences + 11.8 * syllables / total - 15.59


@lru_cache(maxsize=65_536)
def count_syllables(word: str) -> int:
    """By the groups of vowels; 0 for what has no Latin letters. A number counts as one."""
    plain = word.casefold().replace("’", "'")
    parts = [part for part in re.split(r"[-'\W\d_]+", plain) if part]
    if not parts:
        return int(any(sign.isdigit() for sign in word))
    return sum(_count_in_part(part) for part in parts if part not in ("s", "t", "d", "m", "ll", "re", "ve"))


def _count_in_part(part: str) -> int:
    groups = len(_VOWELS.findall(part))
    if groups < 2 or part in _IRREGULAR:
        # Also "lion", "diet": parted vowels can stand in the only group.
        return _IRREGULAR.get(part) or min(groups, 1) + len(_PARTED.findall(part)) * (groups == 1)
    return max(1, groups + len(_PARTED.findall(part)) - len(_SILENT.findall(part)))
