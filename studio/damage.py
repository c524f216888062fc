"""Text whose letters were broken by reading UTF-8 as something else: "donâ€™t" for "don’t".

ftfy knows the encodings that are commonly mistaken for each other, and several rounds of it; nothing else
that it can do is used, so that quotation marks, ligatures and spaces stay as they are.
"""

from dataclasses import dataclass

import ftfy

_LOST = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Damage:
    found: str
    """The damaged word."""
    probably: str
    """The word as it was probably meant; empty if nobody can tell."""


def mend_damage(text: str) -> str:
    """The text with its damaged letters put right; what is not damaged, or past mending, stays as it is."""
    return text if text.isascii() else "".join(map(_mend_line, text.splitlines(keepends=True)))


def find_damage(text: str) -> Damage | None:
    """The first damaged word that can be put right."""
    mended = mend_damage(text)
    if mended == text:
        return None
    # A damaged space is mended to a space, and then words cannot be told apart: the line says it all.
    found, meant = text.split(), mended.split()
    if len(found) != len(meant):
        return Damage(text.strip(), mended.strip())
    return next(Damage(*words) for words in zip(found, meant, strict=True) if words[0] != words[1])


def find_lost(text: str) -> Damage | None:
    """The first word in which a letter is lost for good."""
    if _LOST not in text:
        return None
    return Damage(next(word for word in text.split() if _LOST in word), "")


def _mend_line(line: str) -> str:
    if line.isascii() or not ftfy.badness.is_bad(line):
        return line
    return ftfy.fix_encoding(line)
