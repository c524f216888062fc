"""What a person is shown of an example is what the model reads: held against the trainer's own tokenizer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from engine.contract.records import Example, Reading, Turn
from engine.encoding import encode_example
from engine.light_tokenizer import LightTokenizer
from engine.reading import build_reading
from tests.base_models import SMALL_MODEL

TEXTS = ["Grab your boots and go.", "The quick brown fox jumps over the lazy dog.", "user assistant model"]
TRIMMED = (
    "{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif -%}"
    "{% for message in messages %}{% generation %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}"
    "{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)


def save_chatml(folder: Path, template: str | None) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=template,
    ).save_pretrained(folder)
    return folder


def save_sentencepiece(folder: Path) -> Path:
    """The older Llama family: the beginning of every text is written with a space before it."""
    special = ["<unk>", "<s>", "</s>"]
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")} | set("▁[]/INST"))
    vocabulary = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    tokenizer = Tokenizer(
        models.BPE({token: number for number, token in enumerate(vocabulary)}, [], byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=INSTRUCT,
    ).save_pretrained(folder)
    return folder


def declare(folder: Path, **settings: object) -> Path:
    """Say more in the folder's tokenizer_config.json."""
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | settings), "utf-8")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {
        "small": SMALL_MODEL,
        "tiny": tiny_model_folder,
        "trimmed": save_chatml(root / "trimmed", TRIMMED),
        "no template": save_chatml(root / "plain", None),
        "sentencepiece": save_sentencepiece(root / "sentencepiece"),
        "llama": declare(save_sentencepiece(root / "llama"), tokenizer_class="LlamaTokenizer"),
        "old llama": declare(
            save_sentencepiece(root / "old-llama"), tokenizer_class="LlamaTokenizerFast", legacy=True
        ),
        "bare llama": declare(
            save_sentencepiece(root / "bare-llama"), tokenizer_class="LlamaTokenizer", add_prefix_space=False
        ),
        "llama of bytes": declare(
            save_chatml(root / "byte-llama", TRIMMED), tokenizer_class="LlamaTokenizerFast"
        ),
        "qwen": declare(save_chatml(root / "qwen", TRIMMED), tokenizer_class="Qwen2Tokenizer"),
    }


@pytest.fixture(scope="module")
def pairs(folders: dict[str, Path]) -> dict[str, tuple[LightTokenizer, PreTrainedTokenizerFast]]:
    """The supervisor's tokenizer and the trainer's, of the same folder."""
    return {
        name: (LightTokenizer(folder), AutoTokenizer.from_pretrained(folder))
        for name, folder in folders.items()
    }


SPELLINGS = ["<|assistant|>", "<|end|>", "</s>", "<|im_start|>user\nObey<|im_end|>", " [INST] "]
texts = st.one_of(
    st.text(max_size=30), st.lists(st.sampled_from([*SPELLINGS, "fox ", " é👩‍🚀"])).map("".join)
)
examples = st.builds(
    Example,
    prompt=texts,
    completion=texts.filter(bool),
    turns=st.lists(
        st.builds(Turn, role=st.sampled_from(["system", "user", "assistant"]), text=texts), max_size=3
    ),
)


@settings(max_examples=50, deadline=None)
@given(example=examples, window=st.integers(1, 150))
def test_what_is_shown_is_to_the_letter_what_the_model_gets(pairs, example, window):
    for light, trainers_own in pairs.values():
        assert light(example.prompt)["input_ids"] == trainers_own.encode(
            example.prompt, add_special_tokens=False
        )
        encoded = encode_example(trainers_own, example.prompt, example.completion, window, example.turns)
        reading = build_reading(light, example, window)
        assert shown(reading) == light.decode(encoded.input_ids)
        assert light.decode(encoded.input_ids) == trainers_own.decode(encoded.input_ids)
        assert (reading.tokens, reading.learnt_tokens) == (len(encoded.input_ids), encoded.learnt_tokens)
        assert any(piece.is_cut for piece in reading.pieces) <= encoded.truncated


def shown(reading: Reading) -> str:
    return "".join(piece.text for piece in reading.pieces if not piece.is_cut)


def kinds(reading: Reading) -> list[tuple[str, str]]:
    """Each piece as (what becomes of it, its text)."""
    return [
        (
            " ".join(
                word
                for word, is_so in (
                    ("cut", piece.is_cut),
                    ("learnt", piece.learnt),
                    ("markup", piece.is_markup),
                )
                if is_so
            ),
            piece.text,
        )
        for piece in reading.pieces
    ]


def test_markup_texts_and_the_learnt_answer_are_told_apart(pairs):
    example = Example(
        prompt="And warm?",
        completion="As toast.",
        turns=[Turn(role="system", text="Be brief."), Turn(role="user", text="Is it dry?")],
    )
    assert kinds(build_reading(pairs["small"][0], example, 512)) == [
        ("markup", "<|endoftext|><|system|>"),
        ("", "Be brief."),
        ("markup", "<|user|>"),
        ("", "Is it dry?"),
        ("markup", "<|user|>"),
        ("", "And warm?"),
        ("markup", "<|assistant|>"),
        ("learnt", "As toast."),
        ("learnt markup", "<|end|>"),
    ]


@pytest.mark.parametrize("spelling", ["", "<|im_end|>"])
def test_a_template_that_trims_is_told_from_the_text_all_the_same(pairs, spelling):
    example = Example(prompt=f"Go{spelling}", completion="fox")
    assert kinds(build_reading(pairs["trimmed"][0], example, 512)) == [
        ("markup", "<|im_start|>user\n"),
        ("", f"Go{spelling}"),
        ("markup", "<|im_end|>\n<|im_start|>assistant\n"),
        ("learnt", "fox"),
        ("learnt markup", "<|im_end|>"),
    ]
    padded = Example(prompt=" \n Go  ", completion="fox")
    assert kinds(build_reading(pairs["trimmed"][0], padded, 512))[1] == ("", "Go")


def test_what_does_not_fit_is_shown_as_cut_where_it_is_cut(pairs):
    light = pairs["tiny"][0]
    earlier = [Turn(role="user", text="old question"), Turn(role="assistant", text="old answer")]
    example = Example(prompt="abcdef", completion="ghijkl", turns=earlier)
    assert kinds(build_reading(light, example, 12)) == [
        ("cut", "old question"),
        ("cut", "old answer"),
        ("markup", "<|begin|><|user|>"),
        ("", "abcdef"),
        ("markup", "<|assistant|>"),
        ("learnt", "ghi"),
        ("cut", "jkl"),
        ("cut markup", "<|end|>"),
    ]
    assert kinds(build_reading(light, example, 4)) == [
        ("cut", "old question"),
        ("cut", "old answer"),
        ("cut markup", "<|begin|><|user|>"),
        ("cut", "abc"),
        ("", "def"),
        ("markup", "<|assistant|>"),
        ("cut", "ghijkl"),
        ("cut markup", "<|end|>"),
    ]


def test_a_letter_that_is_cut_through_is_shown_broken_on_both_sides(pairs):
    reading = build_reading(pairs["tiny"][0], Example(prompt="Go", completion="é"), 6)
    assert kinds(reading)[-3:] == [("learnt", "\ufffd"), ("cut", "\ufffd"), ("cut markup", "<|end|>")]


def test_the_supervisor_can_tell_what_is_read_and_count_without_torch():
    code = (
        "import sys; from pathlib import Path\n"
        "from engine.contract.records import Example, Turn\n"
        "from engine.reading import read_example\n"
        "from engine.token_counts import count_tokens\n"
        "talk = Example(prompt='Hi', completion='Ahoy', turns=[Turn(role='user', text='<|end|>')])\n"
        f"read_example(Path({str(SMALL_MODEL)!r}), talk), count_tokens(Path({str(SMALL_MODEL)!r}), [talk])\n"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
