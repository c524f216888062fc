"""How many tokens examples have, without torch or transformers: what estimates and the window check need.

Close to `engine/encoding.py`, which is exact: the template around a prompt without earlier turns is rendered
once for an empty message and added as a constant. Does not know datasets, methods or runs.
"""

from collections.abc import Sequence
from os.path import commonprefix
from pathlib import Path

from jinja2 import TemplateError

from engine.contract.records import Example, TokenCounts
from engine.conversation import placeholder, render_prompt
from engine.light_tokenizer import LightTokenizer, open_tokenizer
from engine.models.inspect import read_shape

# Where a template cannot be rendered on its own: a beginning, two roles and their line ends.
ASSUMED_TEMPLATE_TOKENS = 8
# The end of the answer, which is learnt with it.
END_TOKENS = 1


def count_tokens(model_folder: Path, examples: Sequence[Example]) -> TokenCounts:
    tokenizer = open_tokenizer(model_folder)
    around = _count_template(tokenizer)
    alone = [tokens + around for tokens in tokenizer.count([example.prompt for example in examples])]
    completions = tokenizer.count([example.completion for example in examples])
    turns = _count_turns(tokenizer, examples, alone)
    return TokenCounts(
        window_tokens=read_shape(model_folder).window_tokens,
        prompt_tokens=[sum(parts) for parts in zip(alone, turns, strict=True)],
        completion_tokens=[tokens + END_TOKENS for tokens in completions],
        turn_tokens=turns,
        shared_tokens=_count_shared(tokenizer, examples),
    )


def _count_template(tokenizer: LightTokenizer) -> int:
    try:
        return tokenizer.count([render_prompt(tokenizer, "")])[0]
    except (TemplateError, TypeError, ValueError, KeyError):
        return ASSUMED_TEMPLATE_TOKENS


def _count_shared(tokenizer: LightTokenizer, examples: Sequence[Example]) -> int:
    """The beginning of the template, and of the prompts where nothing is said before them."""
    mark = placeholder(0)
    try:
        before = render_prompt(tokenizer, mark).partition(mark)[0]
    except (TemplateError, TypeError, ValueError, KeyError):
        before = ""
    if not any(example.turns for example in examples):
        before += commonprefix([example.prompt for example in examples])  # noqa: RUF071
    return tokenizer.count([before])[0]


def _count_turns(tokenizer: LightTokenizer, examples: Sequence[Example], alone: Sequence[int]) -> list[int]:
    """What the earlier turns of each example add to its prompt `alone`."""
    counts = [0] * len(examples)
    talks = {place: example for place, example in enumerate(examples) if example.turns}
    whole = tokenizer.count([_render_talk(tokenizer, example) for example in talks.values()])
    for place, tokens in zip(talks, whole, strict=True):
        counts[place] = max(tokens - alone[place], 0)
    return counts


def _render_talk(tokenizer: LightTokenizer, example: Example) -> str:
    try:
        return render_prompt(tokenizer, example.prompt, example.turns)
    except (TemplateError, TypeError, ValueError, KeyError):
        return "\n\n".join([*(turn.text for turn in example.turns), example.prompt])
