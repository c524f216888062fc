"""Where a text names a house in a street, as English, German, French, Spanish, Italian and Dutch write it.

Goes by form alone: a capitalised name, a word for a street, a house number. Knows no map.
"""

import re
from collections.abc import Iterator

_NAME = r"[A-ZÀ-Þ][\w'’.-]*"
_ENGLISH = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Boulevard|Blvd|Way|Place|Pl|Terrace|Close|"
    "Crescent|Parkway|Pkwy|Highway|Hwy|Row|Gardens|Mews|Quay|Wharf|Hill"
)
_GERMAN = "straße|strasse|str\\.|weg|platz|allee|gasse|ring|ufer|damm|chaussee"
_FRENCH = "rue|avenue|boulevard|place|chemin|allée|quai|impasse|cours|route"
_SOUTHERN = r"Calle|Avenida|Avda\.|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua"
_DUTCH = "straat|laan|weg|plein|gracht|kade|singel"
_HOUSE = r"\d{1,4} ?[a-zA-Z]?\b"
_ADDRESS = re.compile(
    rf"\b\d{{1,5}}[A-Za-z]?,? (?:{_NAME} |\d{{1,3}}(?:st|nd|rd|th) ){{1,4}}(?:{_ENGLISH})\b\.?"
    rf"|\b(?:{_NAME} )?[A-ZÄÖÜ]\w*(?:{_GERMAN}) {_HOUSE}"
    rf"|\b{_NAME} (?:{_GERMAN.title()}) {_HOUSE}"
    rf"|\b\d{{1,4}}(?: ?bis| ?ter)?,? (?:{_FRENCH}) "
    rf"(?:(?:de la|de l['’]|des|du|de|d['’]) ?)?{_NAME}(?: {_NAME})*"
    rf"|\b(?:{_SOUTHERN}) (?:(?:de|del|della|di|da|las|los|la) )*{_NAME}(?: {_NAME})*,? \d{{1,4}}\b"
    rf"|\b[A-Z]\w*(?:{_DUTCH}) {_HOUSE}"
    r"|\b(?:P\. ?O\.|PO) Box \d{1,6}\b|\bPostfach \d[\d ]{1,8}\d\b"
)
# Each pattern needs a word for a street beside a number or a name; without one, none is tried.
_HINT = re.compile(
    rf"\b(?:{_FRENCH}|{_SOUTHERN}|Box|Postfach)\b|(?:{_GERMAN}|{_GERMAN.title()}|{_DUTCH}) \d"
    rf"|(?<= )(?:{_ENGLISH})\b"
)


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each."""
    if any(digit in text for digit in "0123456789") and _HINT.search(text):
        yield from (match.span() for match in _ADDRESS.finditer(text))
