"""Remains of a web page in a text: tags and codes such as &nbsp;. Found, and turned into plain text.

Only tags that HTML has are touched: “<3”, “a < b” and “<your name>” are not.
"""

import html
import re

_TAGS = (
    "a abbr address article aside b big blockquote body br button center cite code col colgroup dd del "
    "div dl dt em fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i "
    "iframe img input ins label li link main meta nav noscript ol option p pre s script section select "
    "small span strike strong style sub sup svg table tbody td textarea tfoot th thead title tr u ul "
    "video"
).replace(" ", "|")
_TAG = re.compile(
    rf"</?(?:{_TAGS})(?:\s[^<>]{{0,500}}=[^<>]{{0,500}})?\s?/?>|<!--.{{0,2000}}?-->",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:[a-z][a-z0-9]{1,30}|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_LINE = re.compile(
    r"<(?:br|hr)\b[^<>]*>|</(?:li|tr|dt|dd|h[1-6]|div|article|section|table|ul|ol)\s*>", re.IGNORECASE
)
_PARAGRAPH = re.compile(r"</?(?:p|blockquote)\b[^<>]*>", re.IGNORECASE)
_SPACES_AT_BREAK = re.compile(r"[ \t]*\n[ \t]*")
_MANY_BREAKS = re.compile(r"\n{3,}")
# "&lt;br&gt;" holds a tag inside codes, "&amp;amp;" a code inside a code.
_LAYERS = 3


def find_markup(text: str) -> str | None:
    """The first tag or code."""
    if "<" in text and (tag := _TAG.search(text)):
        return tag[0]
    entity = _find_entity(text) if "&" in text else None
    return entity[0] if entity else None


def strip_markup(text: str) -> str:
    """Tags out, codes to the letters they stand for, line and paragraph tags to line breaks."""
    for _ in range(_LAYERS):
        if find_markup(text) is None:
            break
        text = _strip_layer(text)
    return text


def _strip_layer(text: str) -> str:
    if _TAG.search(text):
        text = _PARAGRAPH.sub("\n\n", _LINE.sub("\n", _HIDDEN.sub("", text)))
        text = _TAG.sub("", text)
        text = _MANY_BREAKS.sub("\n\n", _SPACES_AT_BREAK.sub("\n", text)).strip()
    return _ENTITY.sub(lambda code: html.unescape(code[0]).replace("\N{NO-BREAK SPACE}", " "), text)


def _find_entity(text: str) -> re.Match[str] | None:
    """Only codes that mean something: “R&D;” is a company’s department."""
    return next((code for code in _ENTITY.finditer(text) if html.unescape(code[0]) != code[0]), None)
