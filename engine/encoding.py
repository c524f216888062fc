"""From a prompt and a completion to token ids, and the mask of what is learnt.

Training, comparing and export all come through here, so that a model answers the very format it was taught.
Knows tokenizers and chat templates. Does not know torch, batches, files or brands.
"""

from dataclasses import dataclass
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

# A tokenizer without a chat template gets this one: prompt, blank line, completion, end of text.
FALLBACK_CHAT_TEMPLATE = (
    "{% if bos_token and bos_token != eos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token or '' }}{% else %}{{ '\\n\\n' }}{% endif %}"
    "{% endfor %}"
)
# Stands for a person's text while a template is taken apart: no whitespace (templates trim), and private use
# characters, which no template contains.
_PLACEHOLDER = "\ue000text\ue001"


@dataclass(frozen=True)
class Encoded:
    """One example as the model sees it.

    `input_ids` and `learnt` have the same length; `learnt[i]` says whether token i is a target of the loss.
    """

    input_ids: list[int]
    learnt: list[bool]
    truncated: bool

    @property
    def learnt_tokens(self) -> int:
        """How many tokens the loss is taken over."""
        return sum(self.learnt)


def chat_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The Jinja source in use: the tokenizer's own, or the fallback. Export writes it beside the weights."""
    return tokenizer.get_chat_template() if tokenizer.chat_template else FALLBACK_CHAT_TEMPLATE


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """The text of the user's turn and the opening of the assistant's."""
    return _render(tokenizer, [{"role": "user", "content": prompt}], add_generation_prompt=True)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, max_tokens: int) -> list[int]:
    """Token ids of the rendered prompt, at most `max_tokens`: a longer one loses its beginning."""
    return _last(_prompt_ids(tokenizer, prompt), max_tokens)


def encode_example(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, max_tokens: int
) -> Encoded:
    """Token ids of the whole exchange, at most `max_tokens`; the completion and the turn's end are learnt.

    The ids start with exactly those of `encode_prompt`. What is too long loses the end of its completion, and
    then claims no end token either: a model must not learn to stop where the limit was.
    """
    whole_prompt = _prompt_ids(tokenizer, prompt)
    answer = _completion_ids(tokenizer, prompt, completion, whole_prompt)
    answer += _end_ids(tokenizer, chat_template(tokenizer))
    prompt_ids = _last(whole_prompt, max_tokens)
    kept = answer[: max_tokens - len(prompt_ids)]
    return Encoded(
        input_ids=prompt_ids + kept,
        learnt=[False] * len(prompt_ids) + [True] * len(kept),
        truncated=len(whole_prompt) + len(answer) > max_tokens,
    )


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    if not _mentions_special(tokenizer, prompt):
        return _ids(tokenizer, render_prompt(tokenizer, prompt))
    # The text spells a special token: only the template around it may be read as markup.
    before, *others = render_prompt(tokenizer, _PLACEHOLDER).split(_PLACEHOLDER)
    ids = _ids(tokenizer, before)
    for markup in others:
        ids += _plain_ids(tokenizer, prompt) + _ids(tokenizer, markup)
    return ids


def _completion_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, prompt_ids: list[int]
) -> list[int]:
    # Tokenizers of the SentencePiece family write the first word of a text differently from one inside it, so
    # the completion is read where it stands wherever that leaves the prompt's own ids untouched.
    if not _mentions_special(tokenizer, prompt) and not _mentions_special(tokenizer, completion):
        whole = _ids(tokenizer, render_prompt(tokenizer, prompt) + completion)
        if whole[: len(prompt_ids)] == prompt_ids:
            return whole[len(prompt_ids) :]
    return _plain_ids(tokenizer, completion)


@lru_cache(maxsize=8)
def _end_ids(tokenizer: PreTrainedTokenizerBase, template: str) -> list[int]:
    """What the template writes after an answer, up to its first special token; failing that, the end of text.

    `template` is there for the cache: a tokenizer whose template was changed has another end.
    """
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _PLACEHOLDER}]
    after = _ids(tokenizer, _render(tokenizer, turns).rpartition(_PLACEHOLDER)[2])
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    for position, token_id in enumerate(after):
        if token_id in special:
            return after[: position + 1]
    return [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]


def _render(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], **options: bool) -> str:
    template = chat_template(tokenizer)
    return str(tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, **options))


def _mentions_special(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    return any(token in text for token in _special_texts(tokenizer, len(tokenizer)))


@lru_cache(maxsize=8)
def _special_texts(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[str, ...]:
    """The spellings of all special tokens; `size` is there for the cache, since tokens can be added."""
    return tuple(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)


def _ids(tokenizer: PreTrainedTokenizerBase, markup: str) -> list[int]:
    # The template has written the beginning of the text already: the tokenizer must not add another.
    # Nor warn of length: what is too long is cut by the caller.
    return list(tokenizer(markup, add_special_tokens=False, verbose=False)["input_ids"])


def _plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return list(ids)


def _last(ids: list[int], count: int) -> list[int]:
    return ids[max(len(ids) - count, 0) :]
