"""How texts begin and how they end: with a command, a question, "You", a name, a greeting.

Kinds other than a question or an exclamation are known in English only. A command is told by its first word:
a verb that brands open with, or an unlisted word before "your" or "the" that is no other part of speech.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from studio.address import WE, YOU
from studio.opening_words import (
    BEFORE_OBJECT,
    GREETINGS,
    LEADS,
    NO_VERBS,
    NOT_AFTER_COMMAND,
    SIGN_OFFS,
    VERBS,
)
from studio.sentences import SplitText, normalise_word


@dataclass(frozen=True)
class Opening:
    """First (or last) words of texts, or a kind of beginning (or end), and how many texts have it."""

    text: str
    texts: int


def find_first_words(texts: Sequence[SplitText], most: int = 8) -> tuple[Opening, ...]:
    """The words with which several texts begin, the commonest first."""
    counts = Counter(normalise_word(text.words[0][0]).capitalize() for text in texts if text.words)
    return tuple(Opening(word, count) for word, count in counts.most_common(most) if count > 1)


def count_openings(texts: Iterable[SplitText]) -> tuple[Opening, ...]:
    return _count_kinds(texts, lambda text: kind_of_opening(text.sentences[0], text.words[0]))


def count_closings(texts: Iterable[SplitText]) -> tuple[Opening, ...]:
    return _count_kinds(texts, lambda text: kind_of_closing(text.sentences[-1], text.words[-1]))


def find_commands(texts: Iterable[SplitText], most: int = 3) -> tuple[str, ...]:
    """The verbs with which the most texts begin."""
    verbs = Counter(
        text.words[0][0].capitalize()
        for text in texts
        if text.words and kind_of_opening(text.sentences[0], text.words[0]) == "command"
    )
    return tuple(verb for verb, _ in verbs.most_common(most))


def kind_of_opening(sentence: str, words: Sequence[str]) -> str:
    """ "question", "greeting", "command", "you", "we", "name" or "statement"."""
    plain = [normalise_word(word) for word in words[:4]]
    if _asks(sentence):
        return "question"
    if plain[0] in GREETINGS and (len(plain) < 2 or plain[1] not in BEFORE_OBJECT):
        return "greeting"
    if is_command(plain):
        return "command"
    if plain[0] in YOU or plain[0] in WE:
        return "you" if plain[0] in YOU else "we"
    named = words[1:2] if plain[0] in ("the", "meet", "introducing") else words[:1]
    return "name" if _is_name(named, words[1:3]) else "statement"


def kind_of_closing(sentence: str, words: Sequence[str]) -> str:
    """ "question", "sign-off", "command", "exclamation" or "statement"."""
    plain = [normalise_word(word) for word in words[:4]]
    if _asks(sentence):
        return "question"
    if len(words) <= 6 and (plain[0] in SIGN_OFFS or normalise_word(words[-1]) == "team"):
        return "sign-off"
    if is_command(plain):
        return "command"
    return "exclamation" if sentence.rstrip(" \"'”’»)").endswith(("!", "！")) else "statement"


def is_command(words: Sequence[str]) -> bool:
    """Whether normalised first words are a command: "stay dry", "never miss a beat", "zhuzh up the room"."""
    rest = list(words)
    while len(rest) > 1 and (rest[0] in LEADS or rest[0].endswith("ly")):
        rest.pop(0)
    first, following = rest[0], rest[1] if len(rest) > 1 else ""
    if first in VERBS:
        return following not in NOT_AFTER_COMMAND
    is_verb_like = (
        first.isalpha()
        and len(first) > 2
        and first not in NO_VERBS
        and not first.endswith(("ing", "ed", "s", "ly"))
    )
    return is_verb_like and following in BEFORE_OBJECT and len(words) > 2


def _is_name(named: Sequence[str], following: Sequence[str]) -> bool:
    """Two words with capitals, as names of things sold have; a lone one may only begin the sentence."""
    if not named or not named[0][0].isupper() or normalise_word(named[0]) in NO_VERBS:
        return False
    return any(word[0].isupper() and normalise_word(word) not in NO_VERBS for word in following)


def _asks(sentence: str) -> bool:
    return sentence.rstrip(" \"'”’»)").endswith(("?", "？", "؟"))


def _count_kinds(texts: Iterable[SplitText], kind_of: Callable[[SplitText], str]) -> tuple[Opening, ...]:
    counts = Counter(kind_of(text) for text in texts if text.words)
    return tuple(Opening(kind, count) for kind, count in counts.most_common())
