"""What a text claims and whether the brief says so: its prompt, or the project's fact sheet.

Equal claims are found however they are written (`fact_claims.py`). Whether a fact is true is not known here,
only whether it was given; a claim without number or name ("the lightest of all") is not noticed.
"""

from collections.abc import Iterable, Sequence

from engine.contract.brand import Fact
from studio.brief import Brief, find_literal_claims
from studio.fact_claims import Claim
from studio.names import find_names
from studio.prose import Prose, read_prose


def find_claims(text: str) -> list[Claim]:
    """Numbers, prices, dates, times, percentages, measures, names, addresses and links, in their order."""
    return find_claims_in(read_prose(text))


def find_claims_in(prose: Prose) -> list[Claim]:
    found = find_literal_claims(prose, with_ordinary=False)
    found += find_names(prose, tuple(found))
    return sorted(found, key=lambda claim: claim.start)


def find_unsupported(text: str, prompt: str, facts: Sequence[Fact]) -> list[Claim]:
    """The claims of a text that stand neither in its prompt nor in the fact sheet."""
    return find_unsupported_in(read_prose(text), Brief(prompt), read_fact_sheet(facts))


def find_unsupported_in(prose: Prose, *briefs: Brief) -> list[Claim]:
    return [
        claim
        for claim in find_claims_in(prose)
        if not all(any(brief.says(value) for brief in briefs) for value in claim.values)
    ]


def read_fact_sheet(facts: Iterable[Fact]) -> Brief:
    return Brief("\n".join(f"{fact.name}: {fact.value}" for fact in facts))
