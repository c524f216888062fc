"""Where a text gives a person away: e-mail, phone, card and bank numbers, street addresses.

Card and bank numbers count only with right check digits. A phone number counts if it is written
internationally, if a word before it says so ("call", "Tel."), or if a country writes its numbers so. Names
are not looked for. A firm's public address is found as well, since no text says which it is. Does not know
rows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import phonenumbers

from studio.email_addresses import find_emails
from studio.street_addresses import find_addresses

PersonalKind = Literal["e-mail", "phone number", "card number", "bank account", "address"]
MASKS = frozenset(f"[{kind}]" for kind in get_args(PersonalKind))
"""What stands in a text for what was masked."""

_CARD = re.compile(r"(?<![\w.,/+-])[2-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_NUMBER = re.compile(
    r"(?<![\w,/$€£#-])(?<!\d\.)(?:\+ ?|00 ?)?\(?\d(?:[ ()./‑–-]{0,3}\d){6,14}(?!\w|[.,]\d|-\w|/\d)"
)
_DIGITS = re.compile(r"\d[\d ()./‑–-]{5,}\d")
_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{4}([./-])\d{1,2}\2\d{1,2}")
_PHONE_CUE = re.compile(
    r"(?:\b(?:call|phone|phoning|tel|telephone|telefon|telefono|tél|téléphone|mobile|mobil|cell|fax|whatsapp|text|sms|"
    r"ring|rings?|dial|hotline|helpline|handy|appelez|llame|chiama|reach (?:me|us|him|her|them))\b|[☎📞])"
    r"[^\d\n]{0,24}$",
    re.IGNORECASE,
)
_OTHER_CUE = re.compile(
    r"(?:\b(?:order|ref|reference|item|article|art|sku|model|part|no|nr|isbn|ean|gtin|code|serial|invoice|tracking|"
    r"case|ticket|batch|lot|style|product|vat|version|patent|edition|booking|parcel|catalogue|catalog|number)\b\.?"
    r"|[#№])[\s:.#-]{0,4}(?:(?:is|no|nr|number|code)\b[\s:.#]{0,3}){0,2}$",
    re.IGNORECASE,
)
_CUE_CHARACTERS = 40
_NORTH_AMERICAN = re.compile(r"\(\d{3}\) ?\d{3}[-. ]\d{4}|(?:1[-. ])?\d{3}([-. ])\d{3}\1\d{4}")
# Where a number that begins with a 0 and is written in groups may come from.
_ZERO_REGIONS = ("GB", "DE", "FR", "IT", "NL", "AT", "CH", "AU", "BE", "IE", "SE")
_CUED_REGIONS = ("US", "ES", "PT", "DK", "NO", "PL", "CZ", *_ZERO_REGIONS)


@dataclass(frozen=True)
class Place:
    """`text[start:end]` is the found piece."""

    kind: PersonalKind
    start: int
    end: int


def find_personal_data(text: str) -> list[Place]:
    """All places in the order of the text; none lies in another."""
    found: list[Place] = []
    for place in _find_all(text):
        if all(place.end <= other.start or other.end <= place.start for other in found):
            found.append(place)
    return sorted(found, key=lambda place: place.start)


def mask(text: str) -> str:
    """Each place replaced by what it was: “Write to [e-mail]”."""
    for place in reversed(find_personal_data(text)):
        text = f"{text[: place.start]}[{place.kind}]{text[place.end :]}"
    return text


def _find_all(text: str) -> Iterator[Place]:
    """The surest kinds first: a bank number holds digits that would pass for a phone's."""
    yield from (Place("e-mail", start, end) for start, end in find_emails(text))
    if not any(digit in text for digit in "0123456789"):
        return
    if _DIGITS.search(text):
        yield from (Place("bank account", *m.span()) for m in _IBAN.finditer(text) if _is_iban(m[0]))
        yield from (Place("card number", *m.span()) for m in _CARD.finditer(text) if _is_card(m[0]))
        yield from (Place("phone number", *m.span()) for m in _NUMBER.finditer(text) if _is_phone(m))
    yield from (Place("address", start, end) for start, end in find_addresses(text))


def _is_iban(number: str) -> bool:
    """ISO 13616: letters count from 10, the first four characters come last, and 97 leaves 1."""
    compact = number.replace(" ", "")
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return 15 <= len(compact) <= 34 and int(digits) % 97 == 1


def _is_card(number: str) -> bool:
    """ISO 7812: every second digit from the right doubled, the sum of all digits ends in 0."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    if len(digits) not in (14, 15, 16, 19) or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_phone(match: re.Match[str]) -> bool:
    number, before = match[0], match.string[max(0, match.start() - _CUE_CHARACTERS) : match.start()]
    if _DATE.fullmatch(number):
        return False
    if number.startswith("+"):
        return _is_valid(number, None)
    if _OTHER_CUE.search(before):
        return False
    if number.startswith("00"):
        return _is_valid(f"+{number[2:]}", None)
    if _PHONE_CUE.search(before):
        return _NORTH_AMERICAN.fullmatch(number) is not None or _is_valid_in(number, _CUED_REGIONS)
    if _NORTH_AMERICAN.fullmatch(number):
        return True
    return number.lstrip("(").startswith("0") and not number.isdigit() and _is_valid_in(number, _ZERO_REGIONS)


def _is_valid_in(number: str, regions: tuple[str, ...]) -> bool:
    return any(_is_valid(number, region) for region in regions)


def _is_valid(number: str, region: str | None) -> bool:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    # Numbers of films and examples belong to nobody, yet look like somebody's.
    is_possible = phonenumbers.is_possible_number(parsed)
    return is_possible if region is None else phonenumbers.is_valid_number(parsed)
