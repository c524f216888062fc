"""All that is looked at in examples before they are kept: doctor, brand rules, split, window, amount.

Knows the order of the checks and tells how far it is. Does not know how anything is found, nor screens.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.contract.brand import Brand
from engine.contract.records import Example, Finding
from studio.background import Tell
from studio.doctor import examine
from studio.findings import sort_findings
from studio.numbering import number_rows
from studio.rules_beside import check_by_rules_beside
from studio.split import assign_split
from studio.sufficiency import Sufficiency, judge_amount

CheckWindow = Callable[[Sequence[Example]], list[Finding]]


@dataclass(frozen=True)
class Checkup:
    examples: tuple[Example, ...]
    """Numbered and split: a finding names exactly one example by its row."""
    findings: tuple[Finding, ...]
    """The worst first."""
    amount: Sufficiency


def check_up(
    examples: Sequence[Example],
    check_window: CheckWindow | None = None,
    brand: Brand | None = None,
    tell: Tell = lambda stage, share: None,
) -> Checkup:
    """Examine, hold some back, and see which fit what the model reads at once, if it is known.

    Two other processes count tokens and hold texts against the rules while they are read closely here.
    """
    tell("Reading your texts closely", 0.1)
    numbered = number_rows(examples)
    with ThreadPoolExecutor(2, "checks") as beside:
        holding = beside.submit(check_by_rules_beside, numbered, brand) if brand and numbered else None
        fitting = beside.submit(check_window, numbered) if check_window and numbered else None
        findings = examine(numbered)
        tell("Choosing what is held out", 0.6)
        split = assign_split(numbered)
        amount = judge_amount(split)
        if holding:
            tell("Holding them against your brand’s rules", 0.7)
            findings += holding.result()
        if fitting:
            tell("Counting what the model reads", 0.9)
            findings += fitting.result()
    return Checkup(tuple(split), tuple(sort_findings(findings)), amount)
