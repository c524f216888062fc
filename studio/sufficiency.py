"""Whether examples are few, enough or plenty, and what to add next, said from the examples alone.

Two things decide: how many different texts there are, and how much twice as many would still teach about the
way they are written (`learning_curve.py`). A hint before any tuning; the curve of a run says more. Does not
know methods or models, some of which need less.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import quantiles
from typing import Literal

from engine.contract.records import Example
from studio.columns import VOICE_PROMPT
from studio.learning_curve import measure_curve
from studio.prompt_kinds import PromptKind, find_prompt_kinds
from studio.wording import render_count

Verdict = Literal["few", "enough", "plenty"]
# Under fifty the voice is faint whatever they are like. From a hundred on the curve alone calls no voice
# few: it is too uneven there to take back what was said of half as many.
_A_START, _SURE, _MANY = 50, 100, 200
# What one doubling took off the surprise, over the last two. On six voices tried it was up to 12 % for fewer
# than 50 examples, 2 to 7 % from one hundred to a thousand, and 1 to 2 % for several thousand.
_STEEP, _FLAT = 0.08, 0.022
# A kind that has fewer than one in twenty of the largest one's examples will hardly be learnt.
_SMALL_KIND = 0.05
_MOSTLY_KINDS = 0.8
_SHORT_TEXT_WORDS = 25


@dataclass(frozen=True)
class Sufficiency:
    verdict: Verdict
    sentence: str
    next_steps: tuple[str, ...]
    """Plain sentences, the most useful first; may be empty."""


def judge_amount(examples: Sequence[Example]) -> Sufficiency:
    """Counts different texts: a copy teaches nothing more."""
    completions = list(dict.fromkeys(example.completion for example in examples))
    gain = _gain_per_doubling(completions)
    verdict = _judge(len(completions), gain)
    count = len(completions)
    steps = (*_advise_amount(verdict, count), *_advise_kinds(examples), *_advise_lengths(completions))
    return Sufficiency(verdict, _say(verdict, count), steps)


def _gain_per_doubling(completions: Sequence[str]) -> float | None:
    """The share of surprise that each of the last two doublings took away; None with too few texts."""
    curve = measure_curve(completions)
    if not curve or not curve[-3].bits:
        return None
    return 1 - sqrt(curve[-1].bits / curve[-3].bits)


def _judge(count: int, gain: float | None) -> Verdict:
    if count < _A_START or gain is None:
        return "few"
    if count < _SURE and gain > _STEEP:
        return "few"
    return "plenty" if count >= _MANY and gain <= _FLAT else "enough"


def _say(verdict: Verdict, count: int) -> str:
    examples = render_count(count, "different example")
    if verdict == "plenty":
        return f"{examples} are plenty: the later half teaches hardly anything new about how you write."
    if verdict == "enough":
        return f"{examples} are enough to learn the voice; more would still make it surer."
    if count < _A_START:
        return f"{examples} {'is' if count == 1 else 'are'} few: the voice will show, but faintly."
    return f"{examples} are few for a voice as varied as this one: each new text still teaches a lot."


def _advise_amount(verdict: Verdict, count: int) -> Iterator[str]:
    if count < _A_START:
        yield f"Add {render_count(_A_START - count, 'example')} or more: {_A_START} are a good start."
    elif verdict == "few":
        yield f"Add more of the same kinds; about {_MANY} are better."
    elif verdict == "plenty":
        yield "Rather than adding more, take out those that sound least like you."


def _advise_kinds(examples: Sequence[Example]) -> Iterator[str]:
    prompts = [example.prompt for example in examples]
    different = {" ".join(prompt.split()) for prompt in prompts}
    if len(different) == 1 and len(prompts) > 1:
        asked = "the same prompt" if different != {VOICE_PROMPT} else f"“{VOICE_PROMPT}”"
        yield f"Every example answers {asked}. Say what each text was for, and you can ask for that kind."
        return
    kinds = [kind for kind in find_prompt_kinds(prompts) if kind.beginning]
    if kinds and kinds[0].examples == len(prompts):
        beginning = kinds[0].beginning
        yield f"All prompts begin with “{beginning}”. Add other kinds if you will ask for other texts."
    else:
        yield from _advise_balance([kind for kind in kinds if " " in kind.beginning], len(prompts))


def _advise_balance(kinds: Sequence[PromptKind], prompts: int) -> Iterator[str]:
    """Prompts that are customers' own words begin in all ways: where most are so, beginnings are no kinds."""
    if len(kinds) < 2 or sum(kind.examples for kind in kinds) < _MOSTLY_KINDS * prompts:
        return
    most, least = kinds[0], kinds[-1]
    if least.examples < _SMALL_KIND * most.examples:
        yield (
            f"You have {render_count(most.examples, 'example')} for “{most.beginning}” and only "
            f"{least.examples} for “{least.beginning}”: add some of the latter."
        )


def _advise_lengths(completions: Sequence[str]) -> Iterator[str]:
    words = [len(completion.split()) for completion in completions]
    if len(words) >= _A_START and 1 < quantiles(words, n=10)[-1] < _SHORT_TEXT_WORDS:
        yield "Nearly all texts are short. Add some longer ones if you will ask for e-mails or articles."
