"""The doctor: everything a person should know about their examples, in one call, and grouped by what to do.

Does not know files, columns, tokens, or how a check looks for what it finds.
"""

from collections.abc import Iterable, Sequence

from engine.contract.records import MIN_EXAMPLES, Example, Finding
from studio.findings import rank_severity, sort_findings
from studio.numbering import number_rows
from studio.repairs import REPAIRS
from studio.row_checks import check_rows
from studio.text_checks import TEXT_CHECKS, TextCheck
from studio.wording import render_count, render_rows

# Under this many, the voice shows but carries over little to prompts that were not among the examples.
_EXAMPLES_ADVISED = 50
_SAMPLE_CHARACTERS = 40
_MEND, _DECIDE, _LOOK, _KNOW = ACTIONS = ("Mend with one click", "Decide", "Look at", "Good to know")


def examine(examples: Sequence[Example]) -> list[Finding]:
    """All findings about usable examples, the worst first. Rows are those of `number_rows`."""
    numbered = number_rows(examples)
    return sort_findings([*_check_count(numbered), *_check_texts(numbered), *check_rows(numbered)])


def group_by_action(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings under what a person does about them; the group with the worst finding first, and so inside."""
    groups: dict[str, list[Finding]] = {action: [] for action in ACTIONS}
    for finding in sort_findings(findings):
        groups[find_action(finding)].append(finding)
    filled = [(action, group) for action, group in groups.items() if group]
    return sorted(filled, key=lambda group: rank_severity(group[1][0]))


def find_action(finding: Finding) -> str:
    """One way to repair it: mend. Several: decide. None: look at it, if anything is wrong at all."""
    proposed = REPAIRS.get(finding.kind)
    if proposed is None:
        return _KNOW if finding.severity == "note" else _LOOK
    return _DECIDE if proposed.others else _MEND


def _check_count(examples: Sequence[Example]) -> list[Finding]:
    usable = render_count(len(examples), "usable example")
    if len(examples) < MIN_EXAMPLES:
        return [
            Finding(
                severity="error",
                kind="too-few",
                message=f"There {'is' if len(examples) == 1 else 'are'} {usable}; "
                f"a voice needs at least {MIN_EXAMPLES}, and {_EXAMPLES_ADVISED} or more to be "
                "heard clearly.",
                remedy="Add rows to the table, or mend those that were left out.",
            )
        ]
    if len(examples) < _EXAMPLES_ADVISED:
        return [
            Finding(
                severity="note",
                kind="few",
                message=f"With {usable} the voice will show, but faintly. {_EXAMPLES_ADVISED} or "
                "more are better.",
                remedy="Add examples when you have more: the ones held out for validation stay held out.",
            )
        ]
    return []


def _check_texts(examples: Sequence[Example]) -> list[Finding]:
    findings = []
    for check in TEXT_CHECKS:
        find = _find_in_both if check.reads_prompts else _find_in_completion
        found = [(example.row, place) for example in examples if (place := find(check, example))]
        if found:
            findings.append(_text_finding(check, found))
    return findings


def _find_in_completion(check: TextCheck, example: Example) -> str | None:
    return check.find(example.completion)


def _find_in_both(check: TextCheck, example: Example) -> str | None:
    return check.find(example.completion) or check.find(example.prompt)


def _text_finding(check: TextCheck, found: list[tuple[int, str]]) -> Finding:
    rows = sorted(row for row, _ in found)
    message = check.message.format(rows=render_rows(rows), sample=_shorten(found[0][1]))
    return Finding(severity=check.severity, kind=check.kind, rows=rows, message=message, remedy=check.remedy)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SAMPLE_CHARACTERS else f"{line[:_SAMPLE_CHARACTERS].rstrip()}…"
