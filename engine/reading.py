"""Exactly what a base model reads of one example while it learns, for a person to look at; without torch.

The tokens are those of `encoding.encode_example`; here they are turned back into text, stretch by stretch.
Does not know datasets, methods or runs.
"""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import TemplateError

from engine.contract.failures import EngineFailure
from engine.contract.records import Example, Reading, ReadingPiece
from engine.conversation import Message, Segment, build_messages, chat_template, render, take_apart
from engine.encoding import Encoded, encode_example, end_ids, markup_ids, mentions_special, text_ids
from engine.light_tokenizer import LightTokenizer, open_tokenizer
from engine.methods import MAX_EXAMPLE_TOKENS
from engine.models.inspect import read_shape


class Token(NamedTuple):
    """One token of the whole example and what becomes of it."""

    id: int
    is_markup: bool
    learnt: bool


def read_example(model_folder: Path, example: Example) -> Reading:
    window_tokens = min(read_shape(model_folder).window_tokens, MAX_EXAMPLE_TOKENS)
    try:
        return build_reading(open_tokenizer(model_folder), example, window_tokens)
    except TemplateError as error:
        raise EngineFailure(
            "model_unusable",
            "This base model's chat template cannot be used.",
            "Your examples are safe.",
            "Choose another base model.",
        ) from error


def build_reading(tokenizer: LightTokenizer, example: Example, window_tokens: int) -> Reading:
    encoded = encode_example(tokenizer, example.prompt, example.completion, window_tokens, example.turns)
    whole = encode_example(tokenizer, example.prompt, example.completion, sys.maxsize, encoded.turns)
    tokens = _mark(tokenizer, example, whole)
    # What is cut off a prompt is its beginning, off an answer its end.
    first = _tokens_before_answer(whole) - _tokens_before_answer(encoded)
    last = first + len(encoded.input_ids)
    pieces = [
        *_turns_left_out(example, encoded),
        *_pieces(tokenizer, tokens[:first], is_cut=True),
        *_pieces(tokenizer, tokens[first:last], is_cut=False),
        *_pieces(tokenizer, tokens[last:], is_cut=True),
    ]
    return Reading(
        pieces=pieces,
        tokens=len(encoded.input_ids),
        learnt_tokens=encoded.learnt_tokens,
        window_tokens=window_tokens,
    )


def _tokens_before_answer(encoded: Encoded) -> int:
    return len(encoded.input_ids) - encoded.learnt_tokens


# --- who wrote which token ------------------------------------------------------------------------------


def _mark(tokenizer: LightTokenizer, example: Example, whole: Encoded) -> list[Token]:
    messages = build_messages(tokenizer, example.prompt, whole.turns)
    is_markup = _mark_prompt(tokenizer, messages)
    end = len(end_ids(tokenizer, chat_template(tokenizer)))
    is_markup += [False] * (whole.learnt_tokens - end) + [True] * end
    return [Token(*marked) for marked in zip(whole.input_ids, is_markup, whole.learnt, strict=True)]


def _mark_prompt(tokenizer: LightTokenizer, messages: list[Message]) -> list[bool]:
    """For each token before the answer, whether the chat template wrote it; as encoding makes them."""
    segments = take_apart(tokenizer, messages, add_generation_prompt=True)
    if mentions_special(tokenizer, messages):
        ids_of = {True: markup_ids, False: text_ids}
        lengths = [len(ids_of[is_markup](tokenizer, text)) for text, is_markup in segments]
        return [one.is_markup for one, length in zip(segments, lengths, strict=True) for _ in range(length)]
    rendered = render(tokenizer, messages, add_generation_prompt=True)
    by_character = _mark_characters(rendered, segments)
    # A token that reaches from markup into a text belongs to where it begins.
    return [by_character[start] for start, _ in tokenizer(rendered)["offset_mapping"]]


def _mark_characters(rendered: str, segments: Sequence[Segment]) -> list[bool]:
    """For each character, whether the template wrote it; a text may stand there trimmed or changed."""
    marks: list[bool] = []
    for number, (text, is_markup) in enumerate(segments):
        length = len(text)
        if not is_markup:
            following = segments[number + 1].text
            length = _length_written(rendered, len(marks), text, following)
        marks += [is_markup] * length
    return (marks + [True] * len(rendered))[: len(rendered) + 1]


def _length_written(rendered: str, start: int, text: str, following: str) -> int:
    if rendered.startswith(text + following, start):
        return len(text)
    return max(rendered.find(following, start) - start, 0) if following else len(rendered) - start


# --- tokens to text -------------------------------------------------------------------------------------


def _turns_left_out(example: Example, encoded: Encoded) -> list[ReadingPiece]:
    read = {id(turn) for turn in encoded.turns}
    left_out = [turn.text for turn in example.turns if id(turn) not in read]
    return [ReadingPiece(text=text, learnt=False, is_markup=False, is_cut=True) for text in left_out]


def _pieces(tokenizer: LightTokenizer, tokens: Sequence[Token], is_cut: bool) -> list[ReadingPiece]:
    """Neighbours of one kind together; all texts in a row are exactly the text of all tokens."""
    ids = [token.id for token in tokens]
    whole = tokenizer.decode(ids)
    pieces, place, written = [], 0, 0
    for (is_markup, learnt), stretch in groupby(tokens, key=lambda token: token[1:]):
        place += len(list(stretch))
        until = len(tokenizer.decode(ids[:place]))
        pieces.append(
            ReadingPiece(
                text=whole[written:until], learnt=learnt and not is_cut, is_markup=is_markup, is_cut=is_cut
            )
        )
        written = until
    return [piece for piece in pieces if piece.text]
