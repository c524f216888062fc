"""All that is looked at in examples before they are kept, in one call: the doctor, the split, the window.

Knows the order of the checks and tells how far it is. Does not know how anything is found, nor screens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.contract.records import Example, Finding, TokenCounts
from studio.background import Tell
from studio.doctor import examine
from studio.findings import check_window, sort_findings
from studio.numbering import number_rows
from studio.split import assign_split

CountTokens = Callable[[Sequence[Example]], TokenCounts]


@dataclass(frozen=True)
class Checkup:
    examples: tuple[Example, ...]
    """Numbered and split: a finding names exactly one example by its row."""
    findings: tuple[Finding, ...]
    """The worst first."""


def check_up(
    examples: Sequence[Example],
    count_tokens: CountTokens | None = None,
    tell: Tell = lambda stage, share: None,
) -> Checkup:
    """Examine, hold some back, and see which fit what the model reads at once, if tokens can be counted."""
    tell("Reading your texts closely", 0.2)
    numbered = number_rows(examples)
    findings = examine(numbered)
    tell("Choosing what is held out", 0.6)
    split = assign_split(numbered)
    if count_tokens and split:
        tell("Counting what the model reads", 0.8)
        findings += check_window(split, count_tokens(split))
    return Checkup(tuple(split), tuple(sort_findings(findings)))
