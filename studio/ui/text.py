"""Text of a person or of a model, made safe to show: never Markdown, never HTML, never a hidden direction.

`show_text` is the one way in which pages show such text. Our own sentences do not pass here.
"""

import re

import streamlit as st

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIRECTIONS = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@^=/])")
# What Markdown makes a link of by itself: an address of somebody else's text shall not be one to click.
_ADDRESS = re.compile(r"(@|://|\bwww\\?\.|:(?=\\?/))")
WORD_JOINER = "\u2060"
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


def clean(text: str) -> str:
    """Without control characters (line breaks and tabs stay) and marks that turn the reading order."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _DIRECTIONS.sub("", _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text))


def isolate(text: str) -> str:
    """Cleaned, and enclosed so that right-to-left text cannot reorder the sentence around it."""
    return f"{FIRST_STRONG_ISOLATE}{clean(text)}{POP_ISOLATE}"


def escape(text: str) -> str:
    """For a name inside one line of Markdown: every mark that could mean something is taken literally."""
    return _ADDRESS.sub(f"\\1{WORD_JOINER}", _MARKUP.sub(r"\\\1", " ".join(clean(text).split())))


def shorten(text: str, characters: int = 90) -> str:
    """One line of at most so many characters, cut at a word."""
    line = " ".join(clean(text).split())
    if len(line) <= characters:
        return line
    return line[:characters].rsplit(" ", 1)[0].rstrip(",;:.") + " …"


def show_text(text: str, key: str, waiting: bool = False) -> None:
    """Text as text, in a readable measure. `key` must be unique on the page and starts its CSS class."""
    with st.container(key=f"quote-{key}"):
        st.text(isolate(text) if text else ("…" if waiting else "(nothing)"))
