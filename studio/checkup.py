"""All that is looked at in examples before they are kept: doctor, brand rules, split, window, amount.

Knows the order of the checks and tells how far it is. Does not know how anything is found, nor screens.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.contract.brand import Brand
from engine.contract.records import Example, Finding, TokenCounts
from studio.background import Tell
from studio.brand import check_examples_by_rules
from studio.doctor import examine
from studio.findings import check_window, sort_findings
from studio.numbering import number_rows
from studio.split import assign_split
from studio.sufficiency import Sufficiency, judge_amount

CountTokens = Callable[[Sequence[Example]], TokenCounts]


@dataclass(frozen=True)
class Checkup:
    examples: tuple[Example, ...]
    """Numbered and split: a finding names exactly one example by its row."""
    findings: tuple[Finding, ...]
    """The worst first."""
    amount: Sufficiency


def check_up(
    examples: Sequence[Example],
    count_tokens: CountTokens | None = None,
    brand: Brand | None = None,
    tell: Tell = lambda stage, share: None,
) -> Checkup:
    """Examine, hold some back, and see which fit what the model reads at once, if tokens can be counted.

    The engine counts tokens in a process of its own, and so while the texts are read here.
    """
    tell("Reading your texts closely", 0.1)
    numbered = number_rows(examples)
    with ThreadPoolExecutor(1, "count-tokens") as beside:
        counting = beside.submit(count_tokens, numbered) if count_tokens and numbered else None
        findings = examine(numbered)
        if brand and numbered:
            tell("Holding them against your brand’s rules", 0.4)
            findings += check_examples_by_rules(numbered, brand)
        tell("Choosing what is held out", 0.8)
        split = assign_split(numbered)
        amount = judge_amount(split)
        if counting:
            tell("Counting what the model reads", 0.9)
            findings += check_window(split, counting.result())
    return Checkup(tuple(split), tuple(sort_findings(findings)), amount)
