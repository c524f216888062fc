"""What shows only when examples are held against each other: recurring, contradicting, swapped, strange rows.

Does not know what is wrong inside one text (`text_checks.py`), nor how it is mended (`repairs.py`).
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from engine.contract.records import Example, Finding
from studio.language import find_other_languages
from studio.near_duplicates import group_near_duplicates
from studio.off_voice import rank_off_voice
from studio.split import find_leaks
from studio.wording import render_count, render_list, render_rows
from studio.words import split_words

# How people begin when they ask for a text; a column of such texts is no brand's copy.
_ASKS = re.compile(
    r"\W*(?:please |can you |could you |kindly )?(?:write|describe|create|draft|compose|announce|explain|"
    r"introduce|summari[sz]e|rewrite|generate|tell|give|list|suggest|make|produce|answer|reply|respond|promote|present|"
    r"schreib\w*|beschreib\w*|erstelle|verfasse|rédige\w*|écri\w+|décri\w+|escrib\w+|describ\w+|scriv\w+|"
    r"descriv\w+)\b",
    re.IGNORECASE,
)
_ASKED_AT_LEAST, _ASKED_AT_MOST = 0.6, 0.15
_OFF_VOICE_REASONS = 3


def check_rows(examples: Sequence[Example]) -> list[Finding]:
    """All findings about examples as a whole."""
    return [
        *_check_swapped(examples),
        *_check_near_duplicates(examples),
        *_check_same_prompts(examples),
        *_check_languages(examples),
        *_check_off_voice(examples),
        *_check_leaks(examples),
    ]


def _check_swapped(examples: Sequence[Example]) -> list[Finding]:
    """Short orders where the answers should be and longer texts where the orders should: columns mixed up."""
    if not examples or not _asks_more(examples):
        return []
    if median(len(one.prompt) for one in examples) <= median(len(one.completion) for one in examples):
        return []
    return [
        Finding(
            severity="warning",
            kind="swapped-columns",
            message="The two columns may be mixed up: what should be your brand’s texts reads like what was "
            f"asked for, such as “{_shorten(examples[0].completion)}”.",
            remedy="Swap them, unless your brand does write such orders.",
        )
    ]


def _asks_more(examples: Sequence[Example]) -> bool:
    share_of_completions = sum(_is_ask(one.completion) for one in examples) / len(examples)
    share_of_prompts = sum(_is_ask(one.prompt) for one in examples) / len(examples)
    return share_of_completions >= _ASKED_AT_LEAST and share_of_prompts <= _ASKED_AT_MOST


def _is_ask(text: str) -> bool:
    return text.rstrip().endswith("?") or _ASKS.match(text) is not None


def _check_near_duplicates(examples: Sequence[Example]) -> list[Finding]:
    """Names the rows after the first of each group: those that add little."""
    groups = group_near_duplicates([example.completion for example in examples])
    if not groups:
        return []
    rows = sorted(examples[position].row for group in groups for position in group[1:])
    first, second = (examples[position].row for position in groups[0][:2])
    return [
        Finding(
            severity="note",
            kind="near-duplicate",
            rows=rows,
            message=f"{_texts_in(rows)} nearly the same as one further up, for instance row {second} as "
            f"row {first}. The model would learn such texts more firmly than the others.",
            remedy="Keep the first of each, unless the repetition is meant.",
        )
    ]


def _check_same_prompts(examples: Sequence[Example]) -> list[Finding]:
    """Several answers to one prompt can be meant; a single prompt for all examples certainly is."""
    alike = {}
    for number, group in enumerate(group_near_duplicates([example.completion for example in examples])):
        alike.update(dict.fromkeys(group, number))
    asked: defaultdict[str, list[int]] = defaultdict(list)
    for position, example in enumerate(examples):
        asked[normalise_prompt(example.prompt)].append(position)
    shared = [group for group in asked.values() if len({alike.get(one, -1 - one) for one in group}) > 1]
    if not shared or len(asked) == 1:
        return []
    rows = sorted(examples[position].row for group in shared for position in group)
    return [
        Finding(
            severity="note",
            kind="same-prompt",
            rows=rows,
            message=f"The same prompt has clearly different answers in {render_rows(rows)}. "
            "The model learns to answer it either way.",
            remedy="Fine if all are right; otherwise keep the better one.",
        )
    ]


def normalise_prompt(prompt: str) -> str:
    """Blind to case, spacing and punctuation."""
    return " ".join(split_words(prompt)) or prompt.strip()


def _check_languages(examples: Sequence[Example]) -> list[Finding]:
    found = find_other_languages([example.completion for example in examples])
    if not found:
        return []
    rows = sorted(examples[position].row for position in found)
    languages = render_list(sorted(set(found.values())))
    return [
        Finding(
            severity="warning",
            kind="other-language",
            rows=rows,
            message=f"{_texts_in(rows)} in another language than the rest ({languages}): "
            f"{render_rows(rows)}. The model would mix the languages.",
            remedy="Leave them out, or make a voice of their own from them.",
        )
    ]


def _check_off_voice(examples: Sequence[Example]) -> list[Finding]:
    ranked = rank_off_voice(examples)
    if not ranked:
        return []
    first = ranked[0]
    reasons = "; ".join(first.reasons[:_OFF_VOICE_REASONS])
    rows = [one.row for one in ranked]
    order = "" if len(rows) == 1 else ", the strangest first"
    return [
        Finding(
            severity="note",
            kind="off-voice",
            rows=rows,
            message=f"{_texts_in(rows)} unlike the rest{order}: {render_rows(rows)}. "
            f"Row {first.row}: {reasons}.",
            remedy="Read them: what your brand would not write again is better left out.",
        )
    ]


def _check_leaks(examples: Sequence[Example]) -> list[Finding]:
    leaks = [examples[position].row for position in find_leaks(examples)]
    if not leaks:
        return []
    return [
        Finding(
            severity="note",
            kind="leak-prevented",
            rows=leaks,
            message=f"{render_count(len(leaks), 'text')} would have been kept aside for testing while nearly "
            "the same ones are learnt: the test would flatter. Texts that are nearly the same therefore stay "
            "on one side.",
            remedy="Nothing to do.",
        )
    ]


def _texts_in(rows: Sequence[int]) -> str:
    return f"{render_count(len(rows), 'text')} {'is' if len(rows) == 1 else 'are'}"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:60].rstrip()}…"
