"""Text whose letters were broken by reading UTF-8 as something else: "donâ€™t" for "don’t".

Does not mend anything; it finds the first damaged place and what it probably was.
"""

import re
from dataclasses import dataclass

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{2,}")
# What comes out must be something that such text contains: Latin letters, punctuation and symbols, or emoji.
_PLAUSIBLE = ((0xA0, 0x250), (0x2000, 0x2C00), (0xFB00, 0xFB07), (0x1F000, 0x20000))


@dataclass(frozen=True)
class Damage:
    found: str
    """The damaged word."""
    probably: str
    """The word as it was probably meant; empty if nobody can tell."""


def find_damage(text: str) -> Damage | None:
    """The first word whose letters beyond ASCII are exactly UTF-8 read as Windows-1252, or are lost."""
    for match in _BEYOND_ASCII.finditer(text):
        meant = _undo(match[0])
        if meant is not None:
            start, end = _word_around(text, match.start(), match.end())
            return Damage(text[start:end], text[start : match.start()] + meant + text[match.end() : end])
    lost = text.find("\ufffd")
    if lost < 0:
        return None
    start, end = _word_around(text, lost, lost + 1)
    return Damage(text[start:end], "")


def _undo(letters: str) -> str | None:
    try:
        meant = b"".join(_byte(letter) for letter in letters).decode("utf-8")
    except UnicodeError:
        return None
    return meant if all(_is_plausible(ord(letter)) for letter in meant) else None


def _byte(letter: str) -> bytes:
    """The byte that was read as this letter; the five that Windows-1252 leaves unused pass as themselves."""
    return bytes([ord(letter)]) if 0x80 <= ord(letter) < 0xA0 else letter.encode("cp1252")


def _is_plausible(code: int) -> bool:
    return any(low <= code < high for low, high in _PLAUSIBLE)


def _word_around(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, end
