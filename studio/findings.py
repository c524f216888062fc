"""What a person should know about their examples, as findings: how bad, where, what, and how to mend it.

Does not know files, columns or models; the lengths in tokens are handed to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from engine.contract.records import (
    MAX_COMPLETION_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    MIN_EXAMPLES,
    Example,
    Finding,
    Severity,
    TokenCounts,
)
from studio.text_checks import TEXT_CHECKS
from studio.wording import render_count, render_percent, render_rows

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
# Under this many, the voice shows but carries over little to prompts that were not among the examples.
_EXAMPLES_ADVISED = 50
_SAMPLE_CHARACTERS = 40
# Kind -> severity, message, remedy of what leaves a row out.
_DROPPED: dict[str, tuple[Severity, str, str]] = {
    "too-long": (
        "error",
        f"The text in {{rows}} is too long: an answer may have {MAX_COMPLETION_CHARACTERS:,} "
        "characters, a prompt "
        f"{MAX_PROMPT_CHARACTERS:,}. {{left_out}}",
        "Shorten it, or split it into several examples.",
    ),
    "empty-completion": (
        "warning",
        "The answer in your voice is missing in {rows}. {left_out}",
        "Write the missing text, or delete the row.",
    ),
    "empty-prompt": (
        "warning",
        "What was asked is missing in {rows}. {left_out}",
        "Write in a few words what the text was written for.",
    ),
    "duplicate": (
        "note",
        "The same prompt and answer as further up stand in {rows}. {left_out}",
        "Nothing to do: every example counts once.",
    ),
}


def find_dropped(dropped: Mapping[str, list[int]]) -> list[Finding]:
    """Say of each reason for leaving rows out which rows it left out; blank rows are nothing to speak of."""
    return [_dropped_finding(kind, rows) for kind, rows in dropped.items() if kind in _DROPPED]


def check_examples(examples: Sequence[Example]) -> list[Finding]:
    """All findings about usable examples: how many, what is odd in their texts, and which prompts recur."""
    return [*_check_count(examples), *_check_texts(examples), *_check_same_prompts(examples)]


def check_window(examples: Sequence[Example], counts: TokenCounts) -> list[Finding]:
    """Examples that do not fit the model's window: it learns them only up to where they are cut."""
    cut: list[int] = []
    lost: list[int] = []
    missing = 0
    for example, prompt, completion in zip(
        examples, counts.prompt_tokens, counts.completion_tokens, strict=True
    ):
        if prompt >= counts.window_tokens:
            lost.append(example.row)
        elif prompt + completion > counts.window_tokens:
            cut.append(example.row)
            missing = max(missing, prompt + completion - counts.window_tokens)
    return [*_lost_findings(lost, counts), *_cut_findings(cut, counts, missing)]


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then from the top of the table down."""
    return sorted(findings, key=lambda finding: (_SEVERITIES.index(finding.severity), finding.rows[:1]))


def _dropped_finding(kind: str, rows: list[int]) -> Finding:
    severity, message, remedy = _DROPPED[kind]
    left_out = "The row was left out." if len(rows) == 1 else "These rows were left out."
    text = message.format(rows=render_rows(rows), left_out=left_out)
    return Finding(severity=severity, kind=kind, rows=rows, message=text, remedy=remedy)


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
        found = [(example.row, place) for example in examples if (place := check.find(example.completion))]
        if found:
            rows = [row for row, _ in found]
            message = check.message.format(rows=render_rows(rows), sample=_shorten(found[0][1]))
            findings.append(
                Finding(
                    severity=check.severity, kind=check.kind, rows=rows, message=message, remedy=check.remedy
                )
            )
    return findings


def _check_same_prompts(examples: Sequence[Example]) -> list[Finding]:
    """Several answers to one prompt can be meant; a single prompt for all examples certainly is."""
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for example in examples:
        rows_of[" ".join(example.prompt.split())].append(example.row)
    shared = {prompt: rows for prompt, rows in rows_of.items() if len(rows) > 1}
    if not shared or len(rows_of) == 1:
        return []
    rows = sorted(row for group in shared.values() for row in group)
    return [
        Finding(
            severity="note",
            kind="same-prompt",
            rows=rows,
            message=f"The same prompt has more than one answer in {render_rows(rows)}. "
            "The model learns to answer it either way.",
            remedy="Fine if both are right; otherwise keep the better one.",
        )
    ]


def _cut_findings(rows: list[int], counts: TokenCounts, missing: int) -> list[Finding]:
    if not rows:
        return []
    share = render_percent(missing / (missing + counts.window_tokens))
    verb = "is longer than the model reads" if len(rows) == 1 else "are longer than the model reads"
    return [
        Finding(
            severity="warning",
            kind="over-window",
            rows=rows,
            message=f"{render_rows(rows).capitalize()} {verb} at once (about "
            f"{_words(counts.window_tokens)} words, "
            f"prompt and answer together). The end is not learnt: at most {share} of an example.",
            remedy="Shorten the text or its prompt, or split it into two examples.",
        )
    ]


def _lost_findings(rows: list[int], counts: TokenCounts) -> list[Finding]:
    if not rows:
        return []
    return [
        Finding(
            severity="error",
            kind="prompt-over-window",
            rows=rows,
            message=f"The prompt in {render_rows(rows)} alone fills all that the model reads at once "
            f"(about {_words(counts.window_tokens)} words), so nothing of the answer is learnt.",
            remedy="Shorten the prompt to what a writer needs to know.",
        )
    ]


def _words(tokens: int) -> int:
    """Three quarters of a word per token is the usual English figure, rounded: it is said as “about”."""
    return int(round(tokens * 0.75, -1)) if tokens >= 20 else tokens


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SAMPLE_CHARACTERS else f"{line[:_SAMPLE_CHARACTERS].rstrip()}…"
