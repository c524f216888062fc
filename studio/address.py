"""Whom a voice speaks to and as whom: “you”, “we” and “I” in English texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.sentences import SplitText

YOU = frozenset(["you", "your", "yours", "yourself", "yourselves", "you'll", "you're", "you've", "you'd"])
WE = frozenset(["we", "us", "our", "ours", "ourselves", "we'll", "we're", "we've", "we'd", "let's"])
I_ = frozenset(["i", "me", "my", "mine", "myself", "i'll", "i'm", "i've", "i'd"])
PERSONS = {"you": YOU, "we": WE, "I": I_}


@dataclass(frozen=True)
class Address:
    person: str
    """“you”, “we” or “I”."""
    share_of_texts: float


def measure_address(texts: Sequence[SplitText]) -> tuple[Address, ...]:
    """In which share of the texts each person is named."""
    return tuple(
        Address(person, sum(not forms.isdisjoint(text.plain) for text in texts) / max(len(texts), 1))
        for person, forms in PERSONS.items()
    )


def count_forms(counts: Mapping[str, int], forms: frozenset[str]) -> int:
    """How often any of the forms stands among counted words."""
    return sum(counts.get(form, 0) for form in forms)
