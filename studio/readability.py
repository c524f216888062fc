"""How hard a text is to read: the Flesch-Kincaid grade, the school year (US) that reads it with ease.

The formula is that of Kincaid, Fishburne, Rogers and Chissom, "Derivation of New Readability Formulas"
(Research Branch Report 8-75, US Navy, 1975). Syllables are counted by rules of English spelling, right for
about nine words in ten, so one text's grade is good to about half a year. Does not know other languages.
"""

import re
from functools import lru_cache

from studio.prose import Prose

# The grade of a line of a few words swings by several years with a single word.
GRADED_FROM_WORDS = 12
_VOWELS = re.compile(r"[aeiouyàáâäèéêëìíîïòóôöùúûü]+")
# Two vowels in a row that are spoken apart: "radio", "idea", "create", "usual", "science", "video".
_APART = re.compile(
    r"i[ao](?!us\b|n\b|ns\b|ned\b|nal)|ea(?:te[sd]?$|ting$|tor|tion|tive|l[ims])|idea|area|eo(?!ple|us\b)|ua[lt]"
    r"|(?<![gq])uou|[^aeiou]ience|qui?e?t$|iet|(?<=\w)y[aeio](?!$)|[aeo]ing\b|iu[mr]|ii|uie"
)
# Endings whose vowel is silent: "makes", "walked", "care", but not "boxes", "needed", "table".
_SILENT = re.compile(
    r"(?<![td])ed$|(?<![sxzcg])(?<![cs]h)es$|e$|(?<=[aeiouy][b-df-hj-np-tv-z])e(?=(?:ly|ful|less|ment)s?$)"
)
_SPOKEN = re.compile(r"[^aeiouy]l(?:e|es|ed)$|[aeiouy]e$|[^aeiouy]r(?:e|es)$|sm$|[aeiouy]e[sd]$")
_CONTRACTED = re.compile(r"'.*$")
_KNOWN = {
    "the": 1, "be": 1, "every": 2, "everything": 3, "business": 2, "people": 2, "evening": 2, "something": 2,
    "sometimes": 2, "someone": 2, "somewhere": 2, "whenever": 3, "wherever": 3, "being": 2, "doing": 2,
    "going": 2,
}  # fmt: skip


def find_grade(prose: Prose) -> float | None:
    """The grade of an English text of any length; None where there is no sentence to judge."""
    words = [word.lower for word in prose.words if not word.text.isdigit()]
    if not words or not prose.is_english:
        return None
    syllables = sum(map(count_syllables, words))
    return 0.39 * len(words) / max(prose.sentences, 1) + 11.8 * syllables / len(words) - 15.59


@lru_cache(maxsize=20_000)
def count_syllables(word: str) -> int:
    """At least one, whatever the word. `word` is in lower case."""
    if word in _KNOWN:
        return _KNOWN[word]
    stem = _CONTRACTED.sub("", word) or word
    count = len(_VOWELS.findall(stem)) + len(_APART.findall(stem))
    if _SILENT.search(stem) and not _SPOKEN.search(stem):
        count -= 1
    return max(count + (stem.endswith("sm") and len(stem) > 3), 1)
