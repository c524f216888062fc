"""What is checked in the texts of one example: a list, each with what it looks for and what to say.

A check finds the first suspicious place of a text. Does not know rows or other examples (`row_checks.py`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.contract.records import Severity
from studio.damage import Damage, find_damage, find_lost
from studio.markup import find_markup
from studio.personal_data import find_personal_data
from studio.placeholders import find_placeholder

_CHATBOT = re.compile(
    r"\bas an AI\b|\bI['’]m an AI\b|\bAI language model\b|\bhere['’]s a draft\b"
    r"|\bI hope this email finds you well\b|^(?:Sure|Certainly|Of course)[,!] here(?: is|['’]s)\b",
    re.IGNORECASE,
)
_CHATBOT_HINTS = (" AI", " ai", "draft", " here", "finds you")


@dataclass(frozen=True)
class TextCheck:
    """`message` names {rows} and may name a {sample}, what `find` found first."""

    kind: str
    severity: Severity
    find: Callable[[str], str | None]
    message: str
    remedy: str
    reads_prompts: bool = False
    """Whether what was asked is checked as well as the answer."""


def _find_damaged_word(text: str) -> str | None:
    return None if text.isascii() else _quote(find_damage(text))


def _find_lost_word(text: str) -> str | None:
    return None if text.isascii() else _quote(find_lost(text))


def _quote(damage: Damage | None) -> str | None:
    if damage is None:
        return None
    return f"{damage.found}” for “{damage.probably}" if damage.probably else damage.found


def _find_chatbot(text: str) -> str | None:
    match = _CHATBOT.search(text) if any(hint in text for hint in _CHATBOT_HINTS) else None
    return match[0] if match else None


def _find_personal(text: str) -> str | None:
    places = find_personal_data(text)
    return text[places[0].start : places[0].end] if places else None


def _find_no_words(text: str) -> str | None:
    return None if any(letter.isalpha() for letter in text) else text


def _find_shortness(text: str) -> str | None:
    # By characters too: languages such as Japanese put no spaces between words.
    is_short = len(text) < 20 and len(text.split()) < 3
    return text if is_short and _find_no_words(text) is None else None


TEXT_CHECKS: tuple[TextCheck, ...] = (
    TextCheck(
        "encoding-damage",
        "warning",
        _find_damaged_word,
        "Letters are damaged in {rows}, such as “{sample}”. The model would learn them so.",
        "Have the letters put right here, or save the table again as “CSV UTF-8” from the original.",
        reads_prompts=True,
    ),
    TextCheck(
        "lost-letters",
        "warning",
        _find_lost_word,
        "Letters are lost in {rows}, such as “{sample}”. Nobody can tell which they were.",
        "Correct them by hand, save the table again as “CSV UTF-8” from the original, or leave them out.",
        reads_prompts=True,
    ),
    TextCheck(
        "placeholder",
        "warning",
        find_placeholder,
        "A placeholder was left in {rows}, such as “{sample}”. The model would learn it as it stands.",
        "Fill it in, or leave the row out.",
        reads_prompts=True,
    ),
    TextCheck(
        "html",
        "warning",
        find_markup,
        "Codes of a web page stand in {rows}, such as “{sample}”. The model would learn them as well.",
        "Keep the plain text only, unless the codes are wanted.",
        reads_prompts=True,
    ),
    TextCheck(
        "chatbot",
        "warning",
        _find_chatbot,
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
        _find_personal,
        "Personal data stands in {rows}, such as “{sample}”. A tuned model may repeat it to anyone.",
        "Mask it or leave the rows out, unless it is public.",
        reads_prompts=True,
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
