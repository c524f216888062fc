"""The corpus the starter is made from, and the tokenizer made from it.

Knows the shards (xz-compressed JSON lines) and how much of each a mixture takes. Does not know packing
(`packing.py`), models or time.
"""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 8192
BEGIN, PAD, SYSTEM, USER, ASSISTANT, END = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|pad|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# Shares of the tokens within each kind. Two thirds of the prose in stock is old fiction: with more of it than
# this, answers sound like it.
PAIR_SHARES = {
    "pairs_product": 0.28,
    "pairs_support": 0.18,
    "pairs_docs": 0.15,
    "pairs_rewrite": 0.14,
    "pairs_qa": 0.12,
    "pairs_dialog": 0.10,
    "pairs_story": 0.03,
}
PROSE_SHARES = {
    "prose_fiction_late": 0.16,
    "prose_fiction_early": 0.02,
    "prose_textbooks": 0.20,
    "prose_gov_web": 0.20,
    "prose_business_docs": 0.16,
    "prose_reference": 0.14,
    "prose_dialogue": 0.12,
}
# Left out: sentences about programming topics. With them, "Describe the MediKit" is answered with software.
UNFIT_SOURCES = frozenset({"ghexplore"})
# How often a shard of pairs is packed: first as it is, then each time under other names (`renaming.py`).
VARIANTS = {"pairs_product": 4, "pairs_support": 3}


def read_shard(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one shard: {"text"} or {"prompt", "completion"}, each with its source in "src"."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_fit(path: Path) -> Iterator[dict[str, str]]:
    """The rows of one shard that a brand's starter learns from."""
    return (row for row in read_shard(path) if row.get("src") not in UNFIT_SOURCES)


def find_shards(corpus: Path) -> dict[str, Path]:
    """Training shards by name; the held-out `valid` is not among them."""
    shards = {path.name.removesuffix(".jsonl.xz"): path for path in sorted(corpus.glob("*.jsonl.xz"))}
    shards.pop("valid", None)
    return shards


def train_tokenizer(
    corpus: Path, sample_bytes: int = 24_000_000, vocabulary: int = VOCABULARY
) -> PreTrainedTokenizerFast:
    """Byte-level BPE on a sample, three quarters of it prose. Any text survives encoding and decoding.

    The pre-tokenizer is GPT-2's, unchanged, because other runtimes recognise it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample_texts(corpus, sample_bytes), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _sample_texts(corpus: Path, sample_bytes: int) -> Iterator[str]:
    for name, path in find_shards(corpus).items():
        left = sample_bytes * (0.75 * PROSE_SHARES.get(name, 0) + 0.25 * PAIR_SHARES.get(name, 0))
        for row in read_fit(path):
            if left <= 0:
                break
            text = row.get("text") or f"{row['prompt']}\n{row['completion']}"
            left -= len(text.encode())
            yield text
