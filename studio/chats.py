"""A conversation in the notations of OpenAI, ShareGPT and TRL, as one example: its last answer, and the turns
that led there.

Does not know files or columns. What is more than text (a picture, a call of a tool) makes no example.
"""

from dataclasses import dataclass
from typing import Any, Literal

from engine.contract.records import Turn

Message = dict[str, Any]
Role = Literal["system", "user", "assistant"]
_LISTS = ("messages", "conversations", "conversation")
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "customer": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "agent": "assistant",
}
_EMPTY_LINE = "\n\n"


class Unusable(Exception):  # noqa: N818 - it is a verdict on one conversation, which `kind` names
    """A conversation that makes no example; `kind` is that of the finding about it."""

    def __init__(self, kind: Literal["not-only-text", "no-answer"]) -> None:
        self.kind = kind
        super().__init__(kind)


@dataclass(frozen=True)
class Conversation:
    prompt: str
    completion: str
    turns: tuple[Turn, ...]
    has_joined: bool
    """True if several messages of one speaker in a row were put together."""
    has_rest: bool
    """True if something follows the last answer; it is not part of the example."""


def find_messages(entry: dict[str, Any]) -> tuple[list[Message], set[str]] | None:
    """The messages of an entry and the keys that held them, or None if it is no conversation."""
    for key in _LISTS:
        if _is_messages(entry.get(key)):
            system = entry.get("system")
            first = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
            return [*first, *entry[key]], {key, "system"}
    if _is_messages(entry.get("prompt")) and _is_messages(entry.get("completion")):
        return [*entry["prompt"], *entry["completion"]], {"prompt", "completion"}
    return None


def read_conversation(messages: list[Message]) -> Conversation:
    """The last answer, the question before it and all earlier turns. Raises Unusable."""
    spoken = [_read_message(message) for message in messages]
    turns = _join_same_speaker([turn for turn in spoken if turn.text])
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=None)
    if last is None:
        raise Unusable("no-answer")
    is_asked = last > 0 and turns[last - 1].role == "user"
    return Conversation(
        prompt=turns[last - 1].text if is_asked else "",
        completion=turns[last].text,
        turns=tuple(turns[: last - 1 if is_asked else last]),
        has_joined=len(turns) < sum(bool(turn.text) for turn in spoken),
        has_rest=last < len(turns) - 1,
    )


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(message, dict) and ("role" in message or "from" in message) for message in value
    )


def _read_message(message: Message) -> Turn:
    role = _ROLES.get(str(message.get("role", message.get("from"))).lower())
    if role is None or message.get("tool_calls") or message.get("function_call"):
        raise Unusable("not-only-text")
    return Turn(role=role, text=_read_content(_find_content(message)))


def _find_content(message: Message) -> object:
    return next((message[key] for key in ("content", "value", "text") if key in message), None)


def _read_content(content: object) -> str:
    """A text, or a list of parts that are all texts, as newer OpenAI files have it."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
        raise Unusable("not-only-text")
    return _EMPTY_LINE.join(map(str, texts))


def _join_same_speaker(turns: list[Turn]) -> list[Turn]:
    """Templates want speakers to alternate; two messages in a row become two paragraphs of one."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            turn = Turn(role=turn.role, text=joined.pop().text + _EMPTY_LINE + turn.text)
        joined.append(turn)
    return joined
