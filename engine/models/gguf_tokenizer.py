"""Writes the tokenizer of a GGUF file as tokenizer.json and tokenizer_config.json, with its chat template.

How a text is split before its pieces are merged stands in the file as a name alone; what the names mean is
known from llama.cpp (`src/llama-vocab.cpp`) and from the tokenizers that were published with the models. A
name that is not known is refused: its ids would be others than those that the model was trained with.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from engine.contract.failures import EngineFailure
from engine.models.gguf_file import refuse_gguf
from engine.models.gguf_sentencepiece import build_sentencepiece

# The kinds of tokens that matter here (`llama_token_type`).
_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5
_PADDING = re.compile(r"\[PAD\d+\]")
_NAMES = ("bos", "eos", "unknown", "padding")
# Tokens that end a turn where the token that ends a text is another.
_TURN_ENDS = ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<|endofturn|>", "<|end_of_text|>")
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BY_WORDS = frozenset({"gpt-2", "gpt2", "mpt", "olmo", "jais", "phi-2", "trillion"})
_BY_WORDS_AND_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "minerva-7b"})
_BY_PATTERN = {
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "smaug-bpe", "dbrx"), _LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez"), _QWEN2),
    "tekken": _TEKKEN,
}
# Where a piece that is a token as a whole is that token, however it could be merged.
_WHOLE_PIECES = frozenset({"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "tekken"})
_NORMALISED = frozenset({"qwen2", "deepseek-r1-qwen"})


@dataclass(frozen=True)
class Special:
    """The tokens with a meaning of their own, by their ids."""

    texts: dict[str, str]
    """"bos", "eos", "unk" and "pad", as far as the file names them."""
    ids: dict[str, int]
    ends: tuple[int, ...]
    """All that end an answer; the first ends a text."""
    begins_text: bool
    """Whether a text of its own begins with the token "bos"."""


def read_special(metadata: dict[str, Any]) -> Special:
    """Raises EngineFailure("model_unusable") if no token ends a text."""
    tokens = _texts(metadata, "tokens")
    ids = {name: _token_id(metadata, f"{name}_token_id", len(tokens)) for name in (*_NAMES, "eot", "eom")}
    if ids["eos"] is None:
        raise refuse_gguf("no token of it ends a text", "Choose an instruct version of the model.")
    kinds = _kinds(metadata, len(tokens))
    turn_ends = [ids["eot"], ids["eom"]] + [
        number for number, text in enumerate(tokens) if kinds[number] == _CONTROL and text in _TURN_ENDS
    ]
    ends = dict.fromkeys(number for number in (ids["eos"], *turn_ends) if number is not None)
    short = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
    known = {short[name]: number for name in _NAMES if (number := ids[name]) is not None}
    by_default = metadata.get("tokenizer.ggml.model") == "llama" or _split_name(metadata) in _WHOLE_PIECES
    return Special(
        texts={name: tokens[number] for name, number in known.items()},
        ids=known,
        ends=tuple(ends),
        begins_text="bos" in known and bool(metadata.get("tokenizer.ggml.add_bos_token", by_default)),
    )


def write_tokenizer(metadata: dict[str, Any], vocabulary: int, window: int, into: Path) -> Special:
    """Into a folder; `vocabulary` is the number of rows that the embeddings have.

    Raises EngineFailure("model_unusable") for a tokenizer that cannot be had as it was.
    """
    special = read_special(metadata)
    if len(_texts(metadata, "tokens")) > vocabulary:
        raise refuse_gguf("its vocabulary is smaller than its tokenizer", "Choose another version of it.")
    tokenizer = build_tokenizer(metadata, special)
    # Not by its own `save`, whose error for a full disk has no number.
    (into / "tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config |= {f"{name}_token": text for name, text in special.texts.items()}
    config |= {"model_max_length": window, "clean_up_tokenization_spaces": False}
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str) and template.strip():
        config["chat_template"] = template
    (into / "tokenizer_config.json").write_text(json.dumps(config, indent=1), "utf-8")
    return special


def build_tokenizer(metadata: dict[str, Any], special: Special) -> Tokenizer:
    """The tokenizer with its added tokens; it begins a text with "bos" where the model's own does."""
    builders: dict[str, Callable[[dict[str, Any]], Tokenizer]] = {
        "gpt2": _build_byte_level,
        "llama": _build_sentencepiece,
    }
    name = str(metadata.get("tokenizer.ggml.model"))
    if name not in builders:
        raise refuse_gguf(f"its tokenizer is of the kind “{name[:40]}”", "Choose another model.")
    try:
        tokenizer = builders[name](metadata)
        _add_tokens(tokenizer, metadata)
    except EngineFailure:
        raise
    except Exception as error:
        # The library raises bare Exception for every kind of damage.
        raise refuse_gguf("its tokenizer is damaged", "Fetch the file again.") from error
    if special.begins_text:
        _begin_texts(tokenizer, special)
    return tokenizer


def _add_tokens(tokenizer: Tokenizer, metadata: dict[str, Any]) -> None:
    tokens = _texts(metadata, "tokens")
    kinds = _kinds(metadata, len(tokens))
    added = [
        AddedToken(text, special=kind == _CONTROL, normalized=False)
        for text, kind in zip(tokens, kinds, strict=True)
        if text and kind in (_CONTROL, _USER_DEFINED)
    ]
    tokenizer.add_tokens(added)
    if tokenizer.get_vocab_size(with_added_tokens=True) > len(tokens):
        raise refuse_gguf("its tokenizer has tokens that it does not number", "Fetch the file again.")


def _begin_texts(tokenizer: Tokenizer, special: Special) -> None:
    first = special.texts["bos"]
    begin = processors.TemplateProcessing(
        single=f"{first} $A",
        pair=f"{first} $A {first}:1 $B:1",
        special_tokens=[(first, special.ids["bos"])],
    )
    former = tokenizer.post_processor
    tokenizer.post_processor = begin if former is None else processors.Sequence([former, begin])


# --- byte-level BPE ----------------------------------------------------------------------------------


def _build_byte_level(metadata: dict[str, Any]) -> Tokenizer:
    tokens, merges = _texts(metadata, "tokens"), _texts(metadata, "merges")
    kinds = _kinds(metadata, len(tokens))
    split = _split_name(metadata)
    vocabulary = {
        text: number
        for number, text in enumerate(tokens)
        if not (kinds[number] == _UNUSED and _PADDING.fullmatch(text))
    }
    if any(merge.count(" ") != 1 for merge in merges):
        raise refuse_gguf("its tokenizer is damaged", "Fetch the file again.")
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    model = models.BPE(vocabulary, pairs, fuse_unk=False, ignore_merges=split in _WHOLE_PIECES)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _splitter(split)
    if split in _NORMALISED:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _split_name(metadata: dict[str, Any]) -> str:
    return str(metadata.get("tokenizer.ggml.pre", "default"))


def _splitter(name: str) -> pre_tokenizers.PreTokenizer:
    if name in _BY_WORDS:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in _BY_WORDS_AND_DIGITS:
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    if name in _BY_PATTERN:
        pieces = pre_tokenizers.Split(Regex(_BY_PATTERN[name]), behavior="isolated")
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([pieces, as_bytes])
    if name == "default":
        raise refuse_gguf(
            "it was made before files said how texts are split into tokens",
            "Choose a newer GGUF file of the same model.",
        )
    raise refuse_gguf(
        f"it splits texts into tokens in a way unknown here (“{name[:40]}”)", "Choose another model."
    )


def _build_sentencepiece(metadata: dict[str, Any]) -> Tokenizer:
    tokens, scores = _texts(metadata, "tokens"), metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise refuse_gguf("its tokenizer is damaged", "Fetch the file again.")
    unknown = _token_id(metadata, "unknown_token_id", len(tokens))
    adds_space = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    return build_sentencepiece(
        tokens, scores, _kinds(metadata, len(tokens)), tokens[unknown or 0], adds_space
    )


# --- metadata ----------------------------------------------------------------------------------------


def _texts(metadata: dict[str, Any], name: str) -> list[str]:
    value = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise refuse_gguf(
            f"its tokenizer has no {name}", "Choose a GGUF file that holds its tokenizer, as most do."
        )
    return value


def _kinds(metadata: dict[str, Any], count: int) -> list[int]:
    kinds = metadata.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, list) or len(kinds) != count or not all(isinstance(kind, int) for kind in kinds):
        raise refuse_gguf("its tokenizer does not say which tokens are special", "Choose a newer GGUF file.")
    return kinds


def _token_id(metadata: dict[str, Any], name: str, count: int) -> int | None:
    value = metadata.get(f"tokenizer.ggml.{name}")
    if value is None or value in (-1, 2**32 - 1):
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < count:
        raise refuse_gguf("one of its special tokens does not exist", "Fetch the file again.")
    return value
