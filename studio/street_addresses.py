"""Where a text names a house in a street, as English, German, French, Spanish, Italian and Dutch write it.

Goes by form alone: a capitalised name, a word for a street, a house number. Knows no map.
"""

import re
from collections.abc import Iterator

_NAME = r"[A-ZÀ-Þ][\w'’-]*"
_LONG = {
    "st": "street", "rd": "road", "ave": "avenue", "av": "avenue", "ln": "lane", "dr": "drive", "ct": "court",
    "sq": "square", "blvd": "boulevard", "pl": "place", "pkwy": "parkway", "hwy": "highway",
    "cres": "crescent",
}  # fmt: skip
_STRASSE = re.compile(r"str(?:aße)?\b")
_SHORT = "|".join(map(str.capitalize, _LONG))
_ENGLISH = (
    "Street|Road|Avenue|Lane|Drive|Court|Square|Boulevard|Way|Place|Terrace|Close|Crescent|Parkway|Highway|Row|"
    "Gardens|Mews|Quay|Wharf|Hill|Parade|Alley"
)
_GERMAN = "straße|strasse|str\\.|weg|platz|allee|gasse|ufer|damm|chaussee"
_FRENCH = "rue|avenue|boulevard|place|chemin|allée|quai|impasse|cours|route"
_SOUTHERN = r"Calle|Avenida|Avda\.|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua"
_DUTCH = "straat|laan|weg|plein|gracht|kade|singel"
_HOUSE = r"\d{1,4}(?: ?[a-zA-Z])?\b"
_ADDRESS = re.compile(
    rf"\b\d{{1,5}}[A-Za-z]?,? (?:{_NAME}\.? |\d{{1,3}}(?:st|nd|rd|th) ){{1,4}}"
    rf"(?:(?:{_ENGLISH})\b|(?:{_SHORT})\b\.?)"
    rf"|\b(?:{_NAME} )?[A-ZÄÖÜ]\w*(?:{_GERMAN}) {_HOUSE}"
    # In any case only where the word means nothing else.
    rf"|\b\w+(?i:straße|strasse) {_HOUSE}"
    rf"|\b{_NAME} (?:{_GERMAN.title()}) {_HOUSE}"
    rf"|\b\d{{1,4}}(?: ?bis| ?ter)?,? (?:{_FRENCH}) "
    rf"(?:(?:de la|de l['’]|des|du|de|d['’]) ?)?{_NAME}(?: {_NAME})*"
    r"|\b\d{1,4}(?: ?bis| ?ter)?,? (?:rue (?:(?:de|du|des|la|le|les) )*|"
    r"(?:avenue|boulevard|quai) (?:(?:de|du|des|la|le|les) )+)[\w’'-]+"
    rf"|\b(?:{_SOUTHERN}) (?:(?:de|del|della|di|da|las|los|la) )*{_NAME}(?: {_NAME})*,? \d{{1,4}}\b"
    rf"|\b[A-Z]\w*(?:{_DUTCH}) {_HOUSE}"
    r"|\b(?:P\. ?O\.|PO) Box \d{1,6}\b|\bPostfach \d[\d ]{1,8}\d\b"
)
# Each way to write an address needs one of these. They begin with a sign that is rare in texts, and so take a
# tenth of the time.
_HINTS = (
    re.compile(rf" (?=[A-Z])(?:{_ENGLISH}|{_SHORT})"),
    re.compile(rf"\d(?: ?bis| ?ter)?,? (?:{_FRENCH}) "),
    re.compile(rf"(?:{_SOUTHERN}|Box|Postfach) "),
)
_BEFORE_HOUSE = (
    *(word.replace("\\", "") for word in f"{_GERMAN}|{_GERMAN.title()}|{_DUTCH}".split("|")),
    *("STRASSE", "STRAßE"),
)
_BEGINS_HOUSE = re.compile(r" \d")


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each."""
    if _may_name_street(text):
        yield from (match.span() for match in _ADDRESS.finditer(text))


def _may_name_street(text: str) -> bool:
    return any(hint.search(text) for hint in _HINTS) or any(
        text.endswith(_BEFORE_HOUSE, 0, house.start()) for house in _BEGINS_HOUSE.finditer(text)
    )


def normalise_address(written: str) -> str:
    """Any text in the form in which two ways of writing a street are the same: in small letters, in full."""
    words = written.lower().replace(",", " ").split()
    full = " ".join(_LONG.get(word.rstrip(".,"), word.rstrip(".,;")) for word in words)
    return _STRASSE.sub("strasse", full)
