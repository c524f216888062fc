"""E-mail addresses, links, phone numbers and streets in a text, in a form in which they can be compared.

Takes for a phone number whatever may be one, since here a wrong one matters as well; `personal_data.py` asks
whether it is somebody's. Knows the postcodes of the United Kingdom. Does not know whether any of them exists.
"""

import re
from collections.abc import Iterable

from studio.email_addresses import find_emails, normalise_email
from studio.fact_claims import Claim, ClaimKind, Contact
from studio.street_addresses import find_addresses, normalise_address

Span = tuple[int, int]

_ENDINGS = (
    "com|org|net|info|shop|store|biz|app|dev|io|ai|eu|uk|ie|de|at|ch|fr|es|it|nl|be|dk|se|no|fi|pl|pt|us|ca|au|nz|"
    "in|jp|cn|br|gov|edu|co|me|tv|online|site|studio|agency"
)
_LINK = re.compile(
    rf"https?://[^\s<>\"”’)\]]{{1,500}}|www\.[^\s<>\"”’)\]]{{1,500}}"
    # Without "www": in small letters, so that "end.In" of a missing space is not one.
    rf"|(?<![\w@.-])(?:[a-z0-9-]{{1,63}}\.){{1,4}}(?:{_ENDINGS})\b(?:/[^\s<>\"”’)\]]{{0,300}})?(?!\.?[a-z])"
)
# Plain look-ups are ten times as fast as the pattern.
_LINK_HINTS = ("://", "www.")
_DOT_INSIDE = re.compile(r"\.[a-z]")
_PHONE = re.compile(r"(?<![\w.,/-])(?:\+|00)?\(?\d[\d ()./\u00a0-]{5,22}\d(?![\w-]|[.,]\d)")
_YEARS = re.compile(r"\(?\d{4}\D{1,3}\d{4}")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ \u00a0]\d{3})+|\d+")
_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def find_links(text: str) -> list[Claim]:
    """E-mail addresses and links; a full stop behind them is not part of them."""
    found: list[Claim] = []
    _add(found, "e-mail", text, find_emails(text))
    if "." in text and (_DOT_INSIDE.search(text) or any(hint in text for hint in _LINK_HINTS)):
        _add(found, "link", text, (_trim(match) for match in _LINK.finditer(text)))
    return found


def find_places(text: str) -> list[Claim]:
    """Streets, postcodes and phone numbers. Dates look like the latter: hide them first."""
    found: list[Claim] = []
    _add(found, "address", text, find_addresses(text))
    _add(found, "address", text, (match.span() for match in _POSTCODE.finditer(text)))
    _add(found, "phone", text, (match.span() for match in _PHONE.finditer(text) if _is_phone(match[0])))
    return found


def _is_phone(written: str) -> bool:
    digits = sum(letter.isdigit() for letter in written)
    is_other = _THOUSANDS.fullmatch(written) or _YEARS.fullmatch(written)
    return _FEWEST_DIGITS <= digits <= _MOST_DIGITS and not is_other


def normalise_contacts(text: str) -> str:
    """A brief in the form in which contacts are looked for in it, with a space at either end."""
    lines = re.sub(r"https?://|\bwww\.", "", text.lower())
    return f" {normalise_address(lines)} "


def normalise_phone(written: str) -> str:
    """The digits that two ways of writing a number share: without country code and leading zeros."""
    digits = "".join(letter for letter in re.sub(r"\(0\)", "", written) if letter.isdigit())
    return digits.lstrip("0")[-9:]


def _trim(match: re.Match[str]) -> Span:
    return match.start(), match.start() + len(match[0].rstrip(".,;:!?"))


def _add(found: list[Claim], kind: ClaimKind, text: str, spans: Iterable[Span]) -> None:
    for start, end in spans:
        if all(end <= claim.start or claim.end <= start for claim in found):
            written = text[start:end]
            found.append(Claim(kind, written, start, end, (Contact(_normalise(kind, written)),)))


def _normalise(kind: ClaimKind, written: str) -> str:
    if kind == "phone":
        return normalise_phone(written)
    if kind == "link":
        return re.sub(r"^(?:https?://)?(?:www\.)?", "", written.lower()).rstrip("/")
    return normalise_email(written) if kind == "e-mail" else normalise_address(written)
