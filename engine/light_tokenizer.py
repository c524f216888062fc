"""A model folder's tokenizer for the supervisor: what encoding uses of one, without torch or transformers.

It answers as the tokenizer that transformers loads from the same folder; tests hold the two equal. Does not
know examples, windows or what is learnt.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers

from engine.chat_templates import compile_template
from engine.contract.failures import EngineFailure
from engine.conversation import Message
from engine.models.inspect import CHAT_TEMPLATE_FILE

_NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def open_tokenizer(folder: Path) -> "LightTokenizer":
    """The tokenizer of a base model, kept while its file stays as it is."""
    return _open_cached(folder, (folder / "tokenizer.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _open_cached(folder: Path, modified: int) -> "LightTokenizer":
    """`modified` is there for the cache."""
    return LightTokenizer(folder)


class LightTokenizer:
    """The part of `conversation.ChatTokenizer` that a folder's JSON files suffice for."""

    def __init__(self, folder: Path) -> None:
        config = _read_json(folder / "special_tokens_map.json") | _read_json(folder / "tokenizer_config.json")
        self._special = {
            f"{name}_token": text for name in _NAMES if (text := _text(config.get(f"{name}_token")))
        }
        self._tokenizer = _read_tokenizer(folder / "tokenizer.json")
        if _is_llama(folder, config):
            _write_spaces_as_llama(self._tokenizer, config)
        self._declared = list(dict.fromkeys([*self._special.values(), *_extra_texts(config)]))
        _add_special(self._tokenizer, self._declared)
        self.chat_template = _read_template(folder, config)

    @cached_property
    def _plain_tokenizer(self) -> Tokenizer:
        # One of its own: the setting is the whole tokenizer's, and requests run side by side.
        plain = Tokenizer.from_str(self._tokenizer.to_str())
        plain.encode_special_tokens = True
        return plain

    @property
    def eos_token_id(self) -> int | None:
        end = self._special.get("eos_token")
        return None if end is None else self._tokenizer.token_to_id(end)

    @cached_property
    def added_tokens_decoder(self) -> dict[int, Any]:
        return dict(self._tokenizer.get_added_tokens_decoder())

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def __call__(self, text: str, **options: bool) -> dict[str, Any]:
        tokenizer = self._plain_tokenizer if options.get("split_special_tokens") else self._tokenizer
        encoding = tokenizer.encode(text, add_special_tokens=False)
        return {"input_ids": encoding.ids, "offset_mapping": encoding.offsets}

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each of many texts has."""
        return [
            len(encoding) for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]

    @cached_property
    def all_special_ids(self) -> list[int]:
        """Of the tokens that the folder declares special by name."""
        ids = (self._tokenizer.token_to_id(text) for text in self._declared)
        return [id for id in ids if id is not None]

    def decode(self, token_ids: Sequence[int], **options: bool) -> str:
        skips = options.get("skip_special_tokens", False)
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=skips))

    def get_chat_template(self) -> str:
        return self.chat_template or ""

    def apply_chat_template(self, conversation: list[Message], **options: Any) -> str:
        return compile_template(options["chat_template"]).render(
            messages=conversation,
            tools=None,
            documents=None,
            add_generation_prompt=options.get("add_generation_prompt", False),
            **self._special,
        )


# --- files ----------------------------------------------------------------------------------------------


def _read_tokenizer(file: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        # The library raises bare Exception for every kind of damage.
        raise EngineFailure(
            "model_unusable",
            "This base model's tokenizer cannot be read.",
            "Your examples are safe.",
            "Choose another base model.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _is_llama(folder: Path, config: dict[str, Any]) -> bool:
    """Whether transformers takes only the vocabulary from tokenizer.json and the rest from LlamaTokenizer."""
    named = str(config.get("tokenizer_class")).removesuffix("Fast")
    is_mistral = _read_json(folder / "config.json").get("model_type") == "mistral"
    return named == "LlamaTokenizer" and not is_mistral and not _has_byte_level(folder)


def _has_byte_level(folder: Path) -> bool:
    return '"ByteLevel"' in json.dumps(_read_json(folder / "tokenizer.json").get("pre_tokenizer"))


def _write_spaces_as_llama(tokenizer: Tokenizer, config: dict[str, Any]) -> None:
    """As transformers 5.23 sets LlamaTokenizer up."""
    has_prefix = config.get("add_prefix_space") is not False
    scheme = ("always" if config.get("legacy") else "first") if has_prefix else "never"
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=scheme, split=False)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if has_prefix else parts)


def _read_json(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return content if isinstance(content, dict) else {}


def _read_template(folder: Path, config: dict[str, Any]) -> str | None:
    file = folder / CHAT_TEMPLATE_FILE
    if file.is_file():
        return file.read_text("utf-8")
    source = config.get("chat_template")
    if isinstance(source, list):
        # Several templates by name: the one for plain conversations.
        source = {one["name"]: one["template"] for one in source}.get("default")
    return source if isinstance(source, str) else None


def _extra_texts(config: dict[str, Any]) -> list[str]:
    declared: list[Any] = []
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = config.get(key) or []
        declared += more.values() if isinstance(more, dict) else more
    return [text for token in declared if (text := _text(token))]


def _text(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _add_special(tokenizer: Tokenizer, texts: Iterable[str]) -> None:
    """Those that the tokenizer's own file does not know as added tokens yet."""
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    new = [AddedToken(text, special=True) for text in dict.fromkeys(texts) if text not in known]
    tokenizer.add_tokens(new)
