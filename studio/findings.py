"""Findings about rows that no example could be made of, and about examples that the model cannot read whole.

Does not know files, columns or models; the lengths in tokens are handed to it. What is wrong with usable
examples is the doctor's (`doctor.py`).
"""

from collections.abc import Iterable, Mapping, Sequence

from engine.contract.records import (
    MAX_COMPLETION_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    Example,
    Finding,
    Severity,
    TokenCounts,
)
from studio.wording import render_percent, render_rows

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
# Kind -> severity, message, remedy of what leaves a row out.
_DROPPED: dict[str, tuple[Severity, str, str]] = {
    "too-long": (
        "error",
        f"The text in {{rows}} is too long: an answer may have {MAX_COMPLETION_CHARACTERS:,} "
        "characters, a prompt "
        f"{MAX_PROMPT_CHARACTERS:,}. {{left_out}}",
        "Shorten it, or split it into several examples.",
    ),
    "long-conversation": (
        "error",
        "The conversation in {rows} is too long: all that leads to the answer may have "
        f"{MAX_PROMPT_CHARACTERS:,} characters. {{left_out}}",
        "Let it begin at a later turn.",
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


def check_window(examples: Sequence[Example], counts: TokenCounts) -> list[Finding]:
    """Examples that do not fit the model's window: their oldest turns go, then the end of their answer."""
    lost: list[int] = []
    cut: list[int] = []
    shortened: list[int] = []
    missing = 0
    turns = counts.turn_tokens or [0] * len(examples)
    for example, prompt, completion, earlier in zip(
        examples, counts.prompt_tokens, counts.completion_tokens, turns, strict=True
    ):
        # Earlier turns make room for the answer; nothing else of a prompt does.
        alone = prompt - earlier
        if alone >= counts.window_tokens:
            lost.append(example.row)
        elif alone + completion > counts.window_tokens:
            cut.append(example.row)
            missing = max(missing, alone + completion - counts.window_tokens)
        elif prompt + completion > counts.window_tokens:
            shortened.append(example.row)
    return [
        *_lost_findings(lost, counts),
        *_cut_findings(cut, counts, missing),
        *_shortened_findings(shortened, counts),
    ]


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then from the top of the table down."""
    return sorted(findings, key=lambda finding: (rank_severity(finding), finding.rows[:1]))


def rank_severity(finding: Finding) -> int:
    """0 for the worst."""
    return _SEVERITIES.index(finding.severity)


def _dropped_finding(kind: str, rows: list[int]) -> Finding:
    severity, message, remedy = _DROPPED[kind]
    left_out = "The row was left out." if len(rows) == 1 else "These rows were left out."
    text = message.format(rows=render_rows(rows), left_out=left_out)
    return Finding(severity=severity, kind=kind, rows=rows, message=text, remedy=remedy)


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


def _shortened_findings(rows: list[int], counts: TokenCounts) -> list[Finding]:
    if not rows:
        return []
    verb = "is longer than the model reads" if len(rows) == 1 else "are longer than the model reads"
    return [
        Finding(
            severity="note",
            kind="turns-over-window",
            rows=rows,
            message=f"With all that was said before, {render_rows(rows)} {verb} at once (about "
            f"{_words(counts.window_tokens)} words). The oldest turns are left out; the last question and "
            "its answer are learnt whole.",
            remedy="Nothing to do, unless the answer rests on how the conversation began.",
        )
    ]


def _words(tokens: int) -> int:
    """Three quarters of a word per token is the usual English figure, rounded: it is said as “about”."""
    return int(round(tokens * 0.75, -1)) if tokens >= 20 else tokens
