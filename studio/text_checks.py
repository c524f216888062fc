"""What is checked in the text of one completion: a list, each with what it looks for and what to say.

A check finds the first suspicious place of a text. Does not know rows or other examples (`findings.py`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.contract.records import Severity
from studio.damage import find_damage

_PLACEHOLDER = re.compile(
    r"\[(?:(?i:insert|your|enter|add|name|first name|company|brand|product|date|link|url)\b[^\]\n]{0,60}"
    r"|[A-Z][A-Z0-9 _/-]{2,40})\]|\{\{[^{}\n]{1,60}\}\}|<<[^<>\n]{1,60}>>"
    r"|(?i:\blorem ipsum\b)|\bTBD\b|\bTODO\b|\bXXX+\b"
)
_HTML = re.compile(
    r"</?[a-z][a-z0-9]{0,10}(?:\s[^<>\n]{0,300})?/?>|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,6});", re.IGNORECASE
)
_CHATBOT = re.compile(
    r"\bas an AI\b|\bI['’]m an AI\b|\bAI language model\b|\bhere['’]s a draft\b", re.IGNORECASE
)
_PERSONAL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w{2,}|(?<![\w.])(?:\+|00)\d[\d ()/-]{7,20}\d(?![\w.])")


@dataclass(frozen=True)
class TextCheck:
    """`message` names {rows} and may name a {sample}, what `find` found first."""

    kind: str
    severity: Severity
    find: Callable[[str], str | None]
    message: str
    remedy: str


def _find_by(pattern: re.Pattern[str], *hints: str) -> Callable[[str], str | None]:
    """Search only texts that hold one of the hints: plain look-ups are ten times as fast as patterns."""

    def find(text: str) -> str | None:
        match = pattern.search(text) if any(hint in text for hint in hints) else None
        return match[0] if match else None

    return find


def _find_damaged_word(text: str) -> str | None:
    damage = None if text.isascii() else find_damage(text)
    if damage is None:
        return None
    return f"{damage.found}” for “{damage.probably}" if damage.probably else damage.found


def _find_no_words(text: str) -> str | None:
    return None if any(letter.isalpha() for letter in text) else text


def _find_shortness(text: str) -> str | None:
    # By characters too: languages such as Japanese put no spaces between words.
    is_short = len(text.split()) < 3 and len(text) < 20
    return text if is_short and _find_no_words(text) is None else None


TEXT_CHECKS: tuple[TextCheck, ...] = (
    TextCheck(
        "encoding-damage",
        "warning",
        _find_damaged_word,
        "Letters are damaged in {rows}, such as “{sample}”. The model would learn to write them so.",
        "Save the table again as “CSV UTF-8” from the original, or correct these rows.",
    ),
    TextCheck(
        "placeholder",
        "warning",
        _find_by(_PLACEHOLDER, "[", "{{", "<<", "psum", "PSUM", "TBD", "TODO", "XXX"),
        "A placeholder was left in {rows}, such as “{sample}”. The model would learn to write it.",
        "Fill it in, or delete the row.",
    ),
    TextCheck(
        "html",
        "warning",
        _find_by(_HTML, "<", "&"),
        "Codes of a web page stand in {rows}, such as “{sample}”. The model would learn to write them.",
        "Keep the plain text only, unless the codes are wanted.",
    ),
    TextCheck(
        "chatbot",
        "warning",
        _find_by(_CHATBOT, " AI", " ai", "draft"),
        "A chatbot speaks of itself in {rows}: “{sample}”.",
        "Keep only what your brand would say.",
    ),
    TextCheck(
        "no-words",
        "warning",
        _find_no_words,
        "There are no words in {rows}, such as “{sample}”.",
        "Check that the right column was chosen for your texts.",
    ),
    TextCheck(
        "personal-data",
        "note",
        _find_by(_PERSONAL, "@", "+", "00"),
        "An e-mail address or a phone number stands in {rows}. A tuned model may repeat it to anyone.",
        "Replace it with an invented one, unless it is public.",
    ),
    TextCheck(
        "too-short",
        "note",
        _find_shortness,
        "The text in {rows} has fewer than three words, such as “{sample}”. Little can be learnt "
        "from so few.",
        "Fine for slogans; otherwise write it out.",
    ),
)
