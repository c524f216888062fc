"""What a text claims and what stands behind it: the kinds of claim and the values by which two are compared.

"£29.00" and "29 pounds" are one value, "5 March" and "March 5" another. Nothing here reads a text.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

ClaimKind = Literal[
    "number", "price", "date", "time", "percentage", "measure", "name", "address", "e-mail", "phone", "link"
]


class Amount(NamedTuple):
    unit: str
    """The dimension, such as "mass" or "£"; empty for a number alone."""
    size: str
    """In the dimension's own unit, so that 450 g and 0.45 kg are equal."""
    plain: str
    """The number as it was written."""


class Day(NamedTuple):
    """0 where the text does not say; 5/3 may be read either way."""

    year: int
    month: int
    day: int
    swaps: bool = False


class Name(NamedTuple):
    """One word of a name."""

    word: str


class Contact(NamedTuple):
    """An e-mail address, a link, a street or the digits of a phone number, in the form that is compared."""

    text: str


Value = Amount | Day | Name | Contact


@dataclass(frozen=True)
class Claim:
    """Something in a text that is true or false; `start` and `end` are its characters."""

    kind: ClaimKind
    text: str
    start: int
    end: int
    values: tuple[Value, ...] = field(default=(), repr=False, compare=False)
    """All of them must stand in the brief."""


def hide(text: str, claims: list[Claim]) -> str:
    """The text with what was found made unreadable, so that nothing is found twice; places stay."""
    for claim in claims:
        text = text[: claim.start] + "\0" * (claim.end - claim.start) + text[claim.end :]
    return text
