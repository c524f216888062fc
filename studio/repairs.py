"""What can be done about a finding with one click: text mended, or rows left out, never the list handed in.

A repair gives a new list, so undoing it is keeping the earlier one. A finding names rows as the doctor saw
them (`numbering.py`); a repaired list carries these numbers, so several findings of one examination can be
repaired one after the other. Does not know how anything is found.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.contract.records import MAX_COMPLETION_CHARACTERS, MAX_PROMPT_CHARACTERS, Example, Finding
from studio.damage import mend_damage
from studio.markup import strip_markup
from studio.near_duplicates import group_near_duplicates
from studio.numbering import number_rows
from studio.personal_data import mask
from studio.row_checks import normalise_prompt
from studio.wording import render_count

Apply = Callable[[Sequence[Example], Collection[int]], list[Example]]


@dataclass(frozen=True)
class Repair:
    label: str
    """On the button."""
    describe: str
    """What was done, after “3 rows” and before the full stop."""
    apply: Apply
    """The examples and the rows that the finding names; none named means all."""
    choice: str = ""
    """The name by which `repair` takes it, where there is more than one way."""
    others: tuple["Repair", ...] = ()
    """The other ways; this one is proposed."""


def repair(examples: Sequence[Example], finding: Finding, choice: str | None = None) -> list[Example]:
    """The examples with the finding repaired, in the way proposed or the one chosen.

    `examples` are those that were examined, or what an earlier repair of the same examination made of them.
    """
    return get_repair(finding.kind, choice).apply(number_rows(examples), set(finding.rows))


def describe_repair(
    before: Sequence[Example], after: Sequence[Example], finding: Finding, choice: str | None = None
) -> str:
    """What a repair has done, in one sentence: “3 rows mended: letters put right.”"""
    kept = {example.row: example for example in after}
    changed = sum(kept.get(example.row) != example for example in number_rows(before))
    if not changed:
        return "Nothing was changed."
    return f"{render_count(changed, 'row')} {get_repair(finding.kind, choice).describe}."


def get_repair(kind: str, choice: str | None = None) -> Repair:
    """Raises KeyError if findings of this kind are not repaired so."""
    proposed = REPAIRS[kind]
    if choice is None:
        return proposed
    return {one.choice: one for one in (proposed, *proposed.others)}[choice]


def _mending(mend: Callable[[str], str]) -> Apply:
    """Prompt and completion through `mend`; a row of which nothing or too much would be left stays."""

    def apply(examples: Sequence[Example], rows: Collection[int]) -> list[Example]:
        return [
            _with_texts(example, mend(example.prompt), mend(example.completion))
            if example.row in rows
            else example
            for example in examples
        ]

    return apply


def _with_texts(example: Example, prompt: str, completion: str) -> Example:
    fits = len(prompt) <= MAX_PROMPT_CHARACTERS and len(completion) <= MAX_COMPLETION_CHARACTERS
    if not (prompt.strip() and completion.strip() and fits):
        return example
    return example.model_copy(update={"prompt": prompt, "completion": completion})


def _swap(examples: Sequence[Example], _: Collection[int]) -> list[Example]:
    return [_with_texts(example, example.completion, example.prompt) for example in examples]


def _drop(examples: Sequence[Example], rows: Collection[int]) -> list[Example]:
    return [example for example in examples if example.row not in rows]


def _keep(examples: Sequence[Example], _: Collection[int]) -> list[Example]:
    return list(examples)


def _keep_first_alike(examples: Sequence[Example], rows: Collection[int]) -> list[Example]:
    groups = group_near_duplicates([example.completion for example in examples])
    later = {examples[position].row for group in groups for position in group[1:]}
    return _drop(examples, later.intersection(rows))


def _keep_first_answer(examples: Sequence[Example], rows: Collection[int]) -> list[Example]:
    answered: set[str] = set()
    kept = []
    for example in examples:
        prompt = normalise_prompt(example.prompt)
        if example.row not in rows or prompt not in answered:
            kept.append(example)
        if example.row in rows:
            answered.add(prompt)
    return kept


def _leaving_out(why: str) -> Repair:
    return Repair("Leave these rows out", f"left out: {why}", _drop, "drop", (_KEEP,))


_KEEP = Repair("Keep them as they are", "kept as they are", _keep, "keep")
_DROP = Repair("Leave these rows out", "left out", _drop, "drop")

REPAIRS: Mapping[str, Repair] = {
    "encoding-damage": Repair("Put the letters right", "mended: letters put right", _mending(mend_damage)),
    "html": Repair(
        "Keep the plain text", "mended: codes of a web page turned into plain text", _mending(strip_markup)
    ),
    "personal-data": Repair(
        "Mask it",
        "mended: personal data masked",
        _mending(mask),
        "mask",
        (Repair("Leave these rows out", "left out: personal data", _drop, "drop"), _KEEP),
    ),
    "near-duplicate": Repair(
        "Keep the first of each",
        "left out: nearly the same as another",
        _keep_first_alike,
        "first",
        (Repair("Keep all", "kept as they are", _keep, "all"),),
    ),
    "same-prompt": Repair(
        "Keep all",
        "kept as they are",
        _keep,
        "all",
        (
            Repair(
                "Keep the first answer to each",
                "left out: another answer to the same prompt",
                _keep_first_answer,
                "first",
            ),
        ),
    ),
    "swapped-columns": Repair("Swap the columns", "mended: columns swapped", _swap, "swap", (_KEEP,)),
    "lost-letters": _leaving_out("letters lost"),
    "placeholder": _leaving_out("placeholders"),
    "chatbot": _leaving_out("words of a chatbot"),
    "no-words": _leaving_out("no words"),
    "other-language": _leaving_out("another language"),
    "off-voice": _leaving_out("unlike the rest"),
    "too-short": Repair("Keep them as they are", "kept as they are", _keep, "keep", (_DROP,)),
}
