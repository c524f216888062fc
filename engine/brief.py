"""The prompt that a person would write for a brand: an instruction from its rules, then some of its examples.

P-tuning's virtual tokens begin as these words. Knows rules, examples and tokenizers. Does not know models.
"""

from collections.abc import Sequence
from itertools import cycle, islice

from engine.contract.brand import BrandRules
from engine.contract.records import Example, Turn
from engine.conversation import ChatTokenizer
from engine.encoding import encode_example

WORDS_LISTED = 8
"""Of those that a brand uses or avoids: the examples need the room more."""
_NO_LIMIT = 10**9


def compose_brief(rules: BrandRules) -> str:
    """What the rules ask of a text, as an instruction of a few sentences."""
    told = {
        f"Write in {rules.spelling} English.": rules.spelling,
        f"Write {_length(rules)}.": rules.length_bands,
        f"Use words such as {_list(rules.words_we_use)}.": rules.words_we_use,
        f"Never write {_list(rules.words_we_never_use)}.": rules.words_we_never_use,
        "Use no exclamation marks.": rules.exclamation_marks_at_most == 0,
        "Use no emoji.": rules.emoji == "never",
        "Keep to the facts in the request.": rules.facts_from_brief,
    }
    instruction = "You write for our brand. Answer every request in the voice of the examples."
    return " ".join([instruction, *(sentence for sentence, applies in told.items() if applies)])


def encode_brief(tokenizer: ChatTokenizer, brief: str, examples: Sequence[Example], tokens: int) -> list[int]:
    """Exactly so many tokens of a conversation: the brief as its system's turn, then whole examples.

    No brief is no such turn. Examples of middling length come first. The oldest is cut at its beginning so
    that the number is met; where there are too few, they are repeated.
    """
    ordered = list(islice(cycle(_middling_first(examples)), tokens))
    earlier = _encode(tokenizer, brief, ordered[1:2]) if len(ordered) > 1 else []
    for count in range(1, len(ordered) + 1):
        ids = _encode(tokenizer, brief, ordered[count - 1 :: -1])
        if len(ids) >= tokens:
            kept = min(_common(earlier, ids), tokens)
            return ids[:kept] + ids[len(ids) - (tokens - kept) :]
        earlier = ids
    return []


def _encode(tokenizer: ChatTokenizer, brief: str, examples: Sequence[Example]) -> list[int]:
    *before, last = examples
    turns = [Turn(role="system", text=brief)] if brief else []
    for one in before:
        turns.append(Turn(role="user", text=one.prompt))
        turns.append(Turn(role="assistant", text=one.completion))
    return encode_example(tokenizer, last.prompt, last.completion, _NO_LIMIT, turns).input_ids


def _middling_first(examples: Sequence[Example]) -> list[Example]:
    by_length = sorted(examples, key=lambda one: len(one.prompt) + len(one.completion))
    middle = len(by_length) // 2
    return [by_length[place] for place in sorted(range(len(by_length)), key=lambda at: abs(at - middle))]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """With how many tokens both begin."""
    most = min(len(first), len(second))
    return next((place for place in range(most) if first[place] != second[place]), most)


def _length(rules: BrandRules) -> str:
    least = min((band.least_words for band in rules.length_bands), default=0)
    most = max((band.most_words for band in rules.length_bands), default=0)
    return f"{least} to {most} words"


def _list(words: Sequence[str]) -> str:
    return ", ".join(words[:WORDS_LISTED])
