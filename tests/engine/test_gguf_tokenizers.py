"""A GGUF file's tokenizer gives the ids that llama.cpp gives; no person's text becomes a special token."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from engine.contract.failures import EngineFailure
from engine.light_tokenizer import open_tokenizer
from engine.models.bundled import BUNDLED
from engine.models.gguf_import import import_gguf
from engine.models.load import load_tokenizer
from tests.engine.gguf_files import KINDS, SAMPLE, byte_level, sentencepiece, write_gguf
from tests.engine.llama_cpp import LlamaCpp, llama_cpp

NUMBERS = "2026 1,234.50 7 00 3.14159 １２ ٣ Ⅻ ½ 10000000 v2.0 24/7 12€ #5 5kg 2x4"
LANGUAGES = "don't WE'LL I'd l'été naïve Größe ß 東京 漢字かな 한국어 नमस्ते مرحبا שלום 🙂 👩‍👩‍👧 é ﬁ ½ ™ …"
WORDS = [
    *f"{SAMPLE} {NUMBERS} {LANGUAGES}".split(),
    *["<|im_end|>", "<|im_start|>user", "<|endoftext|>", "<think>", "{{x}}", "a_b", "--", "...", "a.b@c.de"],
]
GAPS = [" ", " ", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", "\r\n", "", "   ", "\u00a0"]


def texts() -> list[str]:
    """200 texts with numbers, several scripts, and every kind of space."""
    chance = random.Random(5)
    return ["  a", "a   b\n\nc <table>x", "<table> a", "▁▁ a"] + [
        "".join(chance.choice(WORDS) + chance.choice(GAPS) for _ in range(chance.randint(1, 25)))
        for _ in range(196)
    ]


@pytest.fixture(scope="module")
def judge() -> Iterator[LlamaCpp]:
    with llama_cpp(BUNDLED.source) as running:
        yield running


def test_the_ids_are_those_of_llama_cpp(judge: LlamaCpp, bundled_model_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(bundled_model_folder / "tokenizer.json"))
    for text in texts():
        with_special = tokenizer.encode(text, add_special_tokens=False).ids
        assert with_special == judge.tokenize(text, special=True), text
    tokenizer.encode_special_tokens = True
    for text in texts():
        assert tokenizer.encode(text, add_special_tokens=False).ids == judge.tokenize(text), text


def test_transformers_and_the_engines_own_tokenizer_say_the_same(bundled_model_folder: Path) -> None:
    theirs, ours = load_tokenizer(bundled_model_folder), open_tokenizer(bundled_model_folder)
    assert len(theirs) == len(ours) == 49_152
    assert theirs.eos_token_id == ours.eos_token_id == 2
    for text in texts():
        for split in (False, True):
            options = {"add_special_tokens": False, "split_special_tokens": split}
            assert theirs(text, **options)["input_ids"] == ours(text, **options)["input_ids"], text
        assert ours.decode(ours(text)["input_ids"]) == text


def test_no_text_of_a_person_becomes_a_special_token(bundled_model_folder: Path) -> None:
    from engine.encoding import encode_prompt

    tokenizer = open_tokenizer(bundled_model_folder)
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    assert {1, 2} <= special
    plain = encode_prompt(tokenizer, "Hello there", 100)
    spelt = encode_prompt(tokenizer, "Hello <|im_end|> there <|im_start|>", 100)
    markup = [token for token in plain if token in special]
    assert [token for token in spelt if token in special] == markup


def test_the_chat_template_is_the_files_own(judge: LlamaCpp, bundled_model_folder: Path) -> None:
    messages = [{"role": "user", "content": "Describe the tent."}]
    ours = load_tokenizer(bundled_model_folder).apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert judge.ask("/apply-template", messages=messages)["prompt"] == ours


def unpacked(tmp_path: Path, tokenizer: dict[str, Any]) -> tuple[Path, Path]:
    written = write_gguf(tmp_path / "tiny.gguf", KINDS["llama"], tokenizer)
    folder = tmp_path / "folder"
    folder.mkdir()
    import_gguf(written.file, folder, lambda done, total: None)
    return written.file, folder


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe", "qwen2", "tekken", "refact", "starcoder"])
def test_every_known_way_to_split_texts(pre: str, tmp_path: Path) -> None:
    file, folder = unpacked(tmp_path, byte_level(pre))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with llama_cpp(file) as judge:
        for text in texts():
            ours = tokenizer.encode(text, add_special_tokens=False).ids
            assert ours == judge.tokenize(text, special=True), text


@pytest.mark.parametrize("adds_space", [True, False])
def test_a_sentencepiece_tokenizer(adds_space: bool, tmp_path: Path) -> None:
    file, folder = unpacked(tmp_path, sentencepiece(adds_space))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with llama_cpp(file) as judge:
        for text in texts():
            ours = tokenizer.encode(text, add_special_tokens=False).ids
            assert ours == judge.tokenize(text, special=True), text
        begun = tokenizer.encode("Hello there").ids
        assert begun == judge.tokenize("Hello there", begins=True)
        assert begun[0] == 0
    assert tokenizer.decode(tokenizer.encode("We sold 12 東京 tents").ids) == "We sold 12 東京 tents"
    theirs, ours_light = load_tokenizer(folder), open_tokenizer(folder)
    for text in texts():
        options = {"add_special_tokens": False}
        assert theirs(text, **options)["input_ids"] == ours_light(text, **options)["input_ids"], text


def test_padding_of_the_vocabulary_is_no_token(tmp_path: Path) -> None:
    tokenizer = byte_level()
    count = len(tokenizer["tokens"])
    padding = [f"[PAD{number}]" for number in range(count, count + 8)]
    kinds = [*tokenizer["token_type"], *[5] * len(padding)]
    _, folder = unpacked(tmp_path, tokenizer | {"tokens": tokenizer["tokens"] + padding, "token_type": kinds})
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == count + 8
    assert len(load_tokenizer(folder)) == len(open_tokenizer(folder)) == count


def test_all_tokens_that_end_an_answer_are_kept(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokens = [*tokenizer["tokens"], "<|eot_id|>"]
    kinds = [*tokenizer["token_type"], 3]
    _, folder = unpacked(tmp_path, tokenizer | {"tokens": tokens, "token_type": kinds, "eot_token_id": 2})
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [1, 2, len(tokens) - 1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pre": "harbour-9"}, "splits texts into tokens in a way unknown here (“harbour-9”)"),
        ({"pre": "default"}, "before files said how texts are split"),
        ({"model": "bert"}, "its tokenizer is of the kind “bert”"),
        ({"eos_token_id": 2**32 - 1}, "no token of it ends a text"),
        ({"eos_token_id": 12_345}, "one of its special tokens does not exist"),
        ({"merges": ["a b c"]}, "its tokenizer is damaged"),
        ({"merges": ["nowhere found"]}, "its tokenizer is damaged"),
        ({"token_type": [1, 2]}, "does not say which tokens are special"),
    ],
)
def test_a_tokenizer_that_cannot_be_had_as_it_was_is_refused(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineFailure) as refused:
        unpacked(tmp_path, byte_level() | changes)
    assert why in refused.value.failure.what_happened
    assert refused.value.failure.what_to_do
