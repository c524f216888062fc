"""Where e-mail addresses stand in a text, also those that are written out: "anna (at) example dot com".

Goes by form alone: does not know whether an address exists.
"""

import re
from collections.abc import Iterator

_AT = r"(?:@| ?[\[(]at[\])] ?)"
_DOT = r"(?:\.| ?[\[(]dot[\])] ?| dot )"
_ADDRESS = re.compile(
    rf"\w[\w.%+'’-]{{0,63}}{_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,4}}{_DOT}(?:xn--[a-z\d-]{{2,59}}|[^\W\d_]{{2,24}})\b",
    re.IGNORECASE,
)
# Begins with rare signs, which makes it ten times as fast as the pattern.
_HINT = re.compile(r"[@)\]](?:(?<=@)|(?<=(?:at|AT).))")
_WRITTEN_AT, _WRITTEN_DOT = re.compile(_AT, re.IGNORECASE), re.compile(_DOT, re.IGNORECASE)


def find_emails(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each."""
    if _HINT.search(text):
        yield from (match.span() for match in _ADDRESS.finditer(text))


def normalise_email(written: str) -> str:
    """The form in which two ways of writing an address are the same."""
    return _WRITTEN_DOT.sub(".", _WRITTEN_AT.sub("@", written)).lower()
