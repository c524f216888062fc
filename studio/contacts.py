"""E-mail addresses, links, phone numbers and streets in a text, in a form in which they can be compared.

Knows how streets are written in English, German and French and postcodes of the United Kingdom. Does not know
whether any of them exists.
"""

import re

from studio.fact_claims import Claim, ClaimKind, Contact

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_ENDINGS = (
    "com|org|net|info|shop|store|biz|app|dev|io|ai|eu|uk|ie|de|at|ch|fr|es|it|nl|be|dk|se|no|fi|pl|pt|us|ca|au|nz|"
    "in|jp|cn|br|gov|edu|co|me|tv|online|site|studio|agency"
)
_LINK = re.compile(
    rf"https?://[^\s<>\"”’)\]]{{1,500}}|www\.[^\s<>\"”’)\]]{{1,500}}"
    # Without "www": in small letters, so that "end.In" of a missing space is not one.
    rf"|(?<![\w@.-])(?:[a-z0-9-]{{1,63}}\.){{1,4}}(?:{_ENDINGS})\b(?:/[^\s<>\"”’)\]]{{0,300}})?(?!\.?[a-z])"
)
_PHONE = re.compile(r"(?<![\w.,/-])(?:\+|00)?\(?\d[\d ()./\u00a0-]{5,22}\d(?![\w-]|[.,]\d)")
_YEARS = re.compile(r"\(?\d{4}\D{1,3}\d{4}")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ \u00a0]\d{3})+|\d+")
_STREET_TYPES = {
    "street": "st", "road": "rd", "avenue": "ave av", "lane": "ln", "drive": "dr", "boulevard": "blvd",
    "square": "sq", "court": "ct", "place": "pl", "crescent": "cres", "highway": "hwy", "way": "",
    "terrace": "", "close": "", "gardens": "", "row": "", "parade": "", "quay": "", "mews": "", "hill": "",
    "alley": "", "wharf": "",
}  # fmt: skip
_STREET_TYPE = "|".join(
    [
        *(rf"{name.capitalize()}\b" for name in _STREET_TYPES),
        *(rf"{short.capitalize()}\b\.?" for shorts in _STREET_TYPES.values() for short in shorts.split()),
    ]
)
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w’'.-]*"
_STREET = re.compile(
    rf"\b\d{{1,5}}[A-Za-z]?,? (?:(?:{_CAPITAL}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?:{_STREET_TYPE})(?!\w)"
)
_STREET_ELSEWHERE = re.compile(
    rf"\b(?:{_CAPITAL}[ -])?\w*(?i:straße|strasse|str\.|gasse|weg|platz|allee) \d{{1,4}}[a-z]?\b"
    r"|\b\d{1,4},? (?:rue|avenue|boulevard|quai) (?:(?:de|du|des|la|le|les) )*[\w’'-]+"
)
_ELSEWHERE = ("stra", "str.", "gasse", "weg ", "platz", "allee", " rue ", " avenue ", " boulevard ", " quai ")
_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def find_links(text: str) -> list[Claim]:
    """E-mail addresses and links; a full stop behind them is not part of them."""
    found = [
        Claim("e-mail", match[0], *match.span(), (Contact(match[0].lower()),))
        for match in _find(_EMAIL, text, "@")
    ]
    _add(found, "link", _find(_LINK, text, "."))
    return found


def find_places(text: str) -> list[Claim]:
    """Streets, postcodes and phone numbers. Dates look like the latter: hide them first."""
    found: list[Claim] = []
    _add(found, "address", [*_STREET.finditer(text), *_POSTCODE.finditer(text)])
    if any(hint in text.lower() for hint in _ELSEWHERE):
        _add(found, "address", list(_STREET_ELSEWHERE.finditer(text)))
    _add(found, "phone", [match for match in _PHONE.finditer(text) if _is_phone(match[0])])
    return found


def _is_phone(written: str) -> bool:
    digits = sum(letter.isdigit() for letter in written)
    is_other = _THOUSANDS.fullmatch(written) or _YEARS.fullmatch(written)
    return _FEWEST_DIGITS <= digits <= _MOST_DIGITS and not is_other


def normalise_contacts(text: str) -> str:
    """A brief in the form in which contacts are looked for in it, with a space at either end."""
    lines = re.sub(r"https?://|\bwww\.", "", text.lower())
    return f" {_normalise_street(lines)} "


def normalise_phone(written: str) -> str:
    """The digits that two ways of writing a number share: without country code and leading zeros."""
    digits = "".join(letter for letter in re.sub(r"\(0\)", "", written) if letter.isdigit())
    return digits.lstrip("0")[-9:]


def _find(pattern: re.Pattern[str], text: str, hint: str) -> list[re.Match[str]]:
    """Plain look-ups are ten times as fast as patterns."""
    return list(pattern.finditer(text)) if hint in text else []


def _add(found: list[Claim], kind: ClaimKind, matches: list[re.Match[str]]) -> None:
    for match in matches:
        written = match[0].rstrip(".,;:!?") if kind == "link" else match[0]
        start, end = match.start(), match.start() + len(written)
        if all(end <= claim.start or claim.end <= start for claim in found):
            found.append(Claim(kind, written, start, end, (Contact(_normalise(kind, written)),)))


def _normalise(kind: ClaimKind, written: str) -> str:
    if kind == "phone":
        return normalise_phone(written)
    if kind == "link":
        return re.sub(r"^(?:https?://)?(?:www\.)?", "", written.lower()).rstrip("/")
    return _normalise_street(written.lower())


def _normalise_street(written: str) -> str:
    words = [_LONG.get(word.rstrip(".,"), word.rstrip(".,;")) for word in written.replace(",", " ").split()]
    return " ".join(words).replace("straße", "strasse").replace("str.", "strasse")


_LONG = {short: name for name, shorts in _STREET_TYPES.items() for short in shorts.split()}
