"""A conversation as the text that a chat template makes of it, and what is kept of it when it is long.

Knows chat templates and roles. Does not know token ids, nor what is learnt.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from jinja2 import TemplateError

from engine.contract.records import Turn

# A tokenizer without a chat template gets this one: prompt, blank line, completion, end of text.
FALLBACK_CHAT_TEMPLATE = (
    "{% if bos_token and bos_token != eos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] != 'assistant' %}{{ '\\n\\n' }}"
    "{% elif eos_token %}{{ eos_token }}"
    "{% elif not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% endfor %}"
)
# Stands for a person's text while a template is taken apart: no whitespace (templates trim), and private use
# characters, which no template contains.
_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")

Message = dict[str, str]
"""One turn as chat templates know it: `role` and `content`."""


class ChatTokenizer(Protocol):
    """What is used of a tokenizer: transformers' own, or the supervisor's (`light_tokenizer.py`)."""

    chat_template: Any

    @property
    def eos_token_id(self) -> int | None: ...
    @property
    def added_tokens_decoder(self) -> dict[int, Any]: ...
    def __len__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __call__(self, text: str, **options: bool) -> Any: ...
    def get_chat_template(self) -> str: ...
    def apply_chat_template(self, conversation: list[Message], **options: Any) -> Any: ...


class Segment(NamedTuple):
    """A stretch of a rendered conversation: the template's own text, or what somebody wrote."""

    text: str
    is_markup: bool


def chat_template(tokenizer: ChatTokenizer) -> str:
    """The Jinja source in use: the tokenizer's own, or the fallback. Export writes it beside the weights."""
    return tokenizer.get_chat_template() if tokenizer.chat_template else FALLBACK_CHAT_TEMPLATE


def render_prompt(tokenizer: ChatTokenizer, prompt: str, turns: Sequence[Turn] = ()) -> str:
    """The text of the earlier turns, the user's turn and the opening of the assistant's."""
    return render(tokenizer, build_messages(tokenizer, prompt, turns), add_generation_prompt=True)


def render(tokenizer: ChatTokenizer, messages: list[Message], **options: bool) -> str:
    template = chat_template(tokenizer)
    return str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **options))


def take_apart(tokenizer: ChatTokenizer, messages: list[Message], **options: bool) -> list[Segment]:
    """The rendered messages in order, with each text whole, whatever the template would do to it."""
    stand_ins = [{**message, "content": placeholder(number)} for number, message in enumerate(messages)]
    parts = _PLACEHOLDER.split(render(tokenizer, stand_ins, **options))
    return [
        Segment(messages[int(part)]["content"], False) if place % 2 else Segment(part, True)
        for place, part in enumerate(parts)
    ]


def placeholder(number: int) -> str:
    return f"\ue000{number}\ue001"


# --- roles --------------------------------------------------------------------------------------------


def build_messages(tokenizer: ChatTokenizer, prompt: str, turns: Sequence[Turn] = ()) -> list[Message]:
    """The turns and the prompt in roles that the model's template takes; no text is lost."""
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    messages.append({"role": "user", "content": prompt})
    for change in (_leave, _without_system, _alternating):
        messages = change(messages)
        if len(messages) == 1 or _takes(tokenizer, chat_template(tokenizer), _roles(messages)):
            break
    return messages


@lru_cache(maxsize=256)
def _takes(tokenizer: ChatTokenizer, template: str, roles: tuple[str, ...]) -> bool:
    """Whether the template neither refuses these roles nor passes over one's text.

    `template` is there for the cache: a tokenizer's template can be changed.
    """
    stand_ins = [{"role": role, "content": placeholder(number)} for number, role in enumerate(roles)]
    try:
        written = render(tokenizer, stand_ins, add_generation_prompt=True)
    except TemplateError:
        return False
    return all(message["content"] in written for message in stand_ins)


def _roles(messages: list[Message]) -> tuple[str, ...]:
    return tuple(message["role"] for message in messages)


def _leave(messages: list[Message]) -> list[Message]:
    return messages


def _without_system(messages: list[Message]) -> list[Message]:
    """The system's texts before that of the first user turn."""
    system = [message["content"] for message in messages if message["role"] == "system"]
    spoken = [message for message in messages if message["role"] != "system"]
    first = _roles(spoken).index("user")
    content = "\n\n".join([*system, spoken[first]["content"]])
    return [*spoken[:first], {"role": "user", "content": content}, *spoken[first + 1 :]]


def _alternating(messages: list[Message]) -> list[Message]:
    """User and assistant in turn, beginning with the user: neighbours of one role become one turn."""
    joined: list[Message] = [] if messages[0]["role"] == "user" else [{"role": "user", "content": ""}]
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1] = {**message, "content": f"{joined[-1]['content']}\n\n{message['content']}"}
        else:
            joined.append(message)
    return joined


# --- what is kept -------------------------------------------------------------------------------------


def keep_newest(turns: Sequence[Turn], fits: Callable[[Sequence[Turn]], bool]) -> Sequence[Turn]:
    """As many as fit if not all do: the oldest go first, an answer with its question, the system's last."""
    system = [turn for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    starts = [place for place, turn in enumerate(spoken) if place and turn.role == "user"]
    starts.append(len(spoken))
    first = bisect_left(starts, True, key=lambda start: fits([*system, *spoken[start:]]))
    return [*system, *spoken[starts[first] :]] if first < len(starts) else []
