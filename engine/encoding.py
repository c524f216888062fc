"""From a conversation to token ids, and the mask of what is learnt: its last answer.

Training, comparing and export all come through here, so that a model answers the very format it was taught.
Knows tokenizers. Does not know torch, batches, files or brands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.contract.records import Turn
from engine.conversation import (
    ChatTokenizer,
    Message,
    build_messages,
    chat_template,
    keep_newest,
    placeholder,
    render,
    take_apart,
)


@dataclass(frozen=True)
class Encoded:
    """One example as the model sees it.

    `input_ids` and `learnt` have the same length; `learnt[i]` says whether token i is a target of the loss.
    """

    input_ids: list[int]
    learnt: list[bool]
    truncated: bool
    turns: tuple[Turn, ...] = ()
    """The earlier turns that fitted."""

    @property
    def learnt_tokens(self) -> int:
        """How many tokens the loss is taken over."""
        return sum(self.learnt)


def encode_prompt(
    tokenizer: ChatTokenizer, prompt: str, max_tokens: int, turns: Sequence[Turn] = ()
) -> list[int]:
    """Token ids of the rendered prompt after the earlier turns, at most `max_tokens`.

    What is too long loses its oldest turns, whole, then the beginning of its prompt.
    """

    def encode(kept: Sequence[Turn]) -> list[int]:
        return _prompt_ids(tokenizer, build_messages(tokenizer, prompt, kept))

    ids = encode(turns)
    if turns and len(ids) > max_tokens:
        ids = encode(keep_newest(turns, lambda some: len(encode(some)) <= max_tokens))
    return _last(ids, max_tokens)


def encode_example(
    tokenizer: ChatTokenizer, prompt: str, completion: str, max_tokens: int, turns: Sequence[Turn] = ()
) -> Encoded:
    """Token ids of the whole exchange, at most `max_tokens`; the completion and the turn's end are learnt.

    The ids start with exactly those of `encode_prompt` for the turns that fitted. What is too long loses its
    oldest turns, then the end of its completion, and then claims no end token either: a model must not learn
    to stop where the limit was.
    """

    def encode(kept: Sequence[Turn]) -> tuple[list[int], list[int]]:
        messages = build_messages(tokenizer, prompt, kept)
        prompt_ids = _prompt_ids(tokenizer, messages)
        return prompt_ids, _answer_ids(tokenizer, messages, completion, prompt_ids)

    kept, (whole_prompt, whole_answer) = turns, encode(turns)
    if turns and len(whole_prompt) + len(whole_answer) > max_tokens:
        kept = keep_newest(turns, lambda some: sum(map(len, encode(some))) <= max_tokens)
        whole_prompt, whole_answer = encode(kept)
    prompt_ids = _last(whole_prompt, max_tokens)
    answer = whole_answer[: max_tokens - len(prompt_ids)]
    return Encoded(
        input_ids=prompt_ids + answer,
        learnt=[False] * len(prompt_ids) + [True] * len(answer),
        truncated=len(kept) < len(turns) or len(whole_prompt) + len(whole_answer) > max_tokens,
        turns=tuple(kept),
    )


def _prompt_ids(tokenizer: ChatTokenizer, messages: list[Message]) -> list[int]:
    if not mentions_special(tokenizer, messages):
        return markup_ids(tokenizer, render(tokenizer, messages, add_generation_prompt=True))
    # A text spells a special token: only the template around the texts may be read as markup.
    ids: list[int] = []
    for text, is_markup in take_apart(tokenizer, messages, add_generation_prompt=True):
        ids += markup_ids(tokenizer, text) if is_markup else text_ids(tokenizer, text)
    return ids


def _answer_ids(
    tokenizer: ChatTokenizer, messages: list[Message], completion: str, prompt_ids: list[int]
) -> list[int]:
    """The completion where it stands, and the end of its turn."""
    answer = _completion_ids(tokenizer, messages, completion, prompt_ids)
    return answer + end_ids(tokenizer, chat_template(tokenizer))


def _completion_ids(
    tokenizer: ChatTokenizer, messages: list[Message], completion: str, prompt_ids: list[int]
) -> list[int]:
    # Tokenizers of the SentencePiece family write the first word of a text differently from one inside it, so
    # the completion is read where it stands wherever that leaves the prompt's own ids untouched.
    if not mentions_special(tokenizer, [*messages, {"content": completion}]):
        whole = markup_ids(tokenizer, render(tokenizer, messages, add_generation_prompt=True) + completion)
        if whole[: len(prompt_ids)] == prompt_ids:
            return whole[len(prompt_ids) :]
    return text_ids(tokenizer, completion)


@lru_cache(maxsize=8)
def end_ids(tokenizer: ChatTokenizer, template: str) -> list[int]:
    """What the template writes after an answer, up to its first special token; failing that, the end of text.

    `template` is there for the cache: a tokenizer whose template was changed has another end.
    """
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": placeholder(0)}]
    after = markup_ids(tokenizer, render(tokenizer, turns).rpartition(placeholder(0))[2])
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    for position, token_id in enumerate(after):
        if token_id in special:
            return after[: position + 1]
    return [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]


def mentions_special(tokenizer: ChatTokenizer, messages: list[Message]) -> bool:
    """Whether a text spells a special token, so that the texts must be read apart from the markup."""
    # Joined: a template may write two texts side by side that spell a special token only together.
    texts = "".join(message["content"] for message in messages)
    return any(token in texts for token in _special_texts(tokenizer, len(tokenizer)))


@lru_cache(maxsize=8)
def _special_texts(tokenizer: ChatTokenizer, size: int) -> tuple[str, ...]:
    """The spellings of all special tokens; `size` is there for the cache, since tokens can be added."""
    return tuple(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)


def markup_ids(tokenizer: ChatTokenizer, markup: str) -> list[int]:
    # The template has written the beginning of the text already: the tokenizer must not add another.
    # Nor warn of length: what is too long is cut by the caller.
    return list(tokenizer(markup, add_special_tokens=False, verbose=False)["input_ids"])


def text_ids(tokenizer: ChatTokenizer, text: str) -> list[int]:
    """Of what a person wrote: no spelling in it is a special token."""
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return list(ids)


def _last(ids: list[int], count: int) -> list[int]:
    return ids[max(len(ids) - count, 0) :]
