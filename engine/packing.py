"""From texts to rows of token ids: packing onto disk, and drawing batches from what was packed.

Knows the tokenizer and shares by shard. Does not know models, optimizers or time. What is drawn is a function
of the packed rows, a seed and the number of rows drawn before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from engine.corpus import VARIANTS, find_shards, read_fit
from engine.encoding import encode_example
from engine.renaming import Renamer

# What each packed token is for: padding is never a target, a prompt only while the model learns the language.
PADDING, PROMPT, LEARNT = 0, 1, 2
_OPEN_ROWS = 64


@dataclass
class Rows:
    """Packed rows of one shard, read from disk as they are needed.

    `tokens` is flat; row i starts at i * stride and has `length` tokens. `uses`, as long as `tokens`, says
    what each token is for; None where all of it is language to learn (prose).
    """

    tokens: np.ndarray
    uses: np.ndarray | None
    stride: int
    length: int

    @property
    def count(self) -> int:
        return (len(self.tokens) - self.length) // self.stride + 1

    def get(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and uses of one row, each of `length`."""
        span = slice(index * self.stride, index * self.stride + self.length)
        tokens = self.tokens[span]
        return tokens, np.full(len(tokens), LEARNT, np.uint8) if self.uses is None else self.uses[span]


@dataclass(frozen=True)
class Lengths:
    """Tokens that one row predicts. Pairs are short: in short rows they need not attend to neighbours."""

    prose: int
    pairs: int


def pack_corpus(corpus: Path, folder: Path, tokenizer: PreTrainedTokenizerFast, lengths: Lengths) -> None:
    """Write each shard as `<name>.tokens` (uint16) and, for pairs, `<name>.uses` (uint8), if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in find_shards(corpus).items():
        if (folder / f"{name}.tokens").exists():
            continue
        if name.startswith("pairs_"):
            _pack_pairs(path, folder / name, tokenizer, lengths.pairs + 1, VARIANTS.get(name, 1))
        else:
            _pack_prose(path, folder / name, tokenizer)


def load_rows(folder: Path, lengths: Lengths) -> dict[str, Rows]:
    """Every packed shard that holds at least one row; each row has one token more than it predicts."""
    rows = {}
    for path in sorted(folder.glob("*.tokens")):
        uses_path = path.with_suffix(".uses")
        is_pairs = uses_path.exists()
        stride, length = (lengths.pairs + 1,) * 2 if is_pairs else (lengths.prose, lengths.prose + 1)
        if path.stat().st_size < 2 * length:
            continue
        uses = np.memmap(uses_path, np.uint8, "r") if is_pairs else None
        rows[path.stem] = Rows(np.memmap(path, np.uint16, "r"), uses, stride, length)
    return rows


def _pack_prose(path: Path, target: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """One stream, each text after a begin token; rows are cut from it wherever they fall."""
    texts = (row["text"] for row in read_fit(path))
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        while batch := list(islice(texts, 1000)):
            for ids in tokenizer(batch, add_special_tokens=False, split_special_tokens=True)["input_ids"]:
                file.write(np.array([tokenizer.bos_token_id, *ids], np.uint16).tobytes())
    part.replace(target.with_suffix(".tokens"))


def _pack_pairs(
    path: Path, target: Path, tokenizer: PreTrainedTokenizerFast, length: int, variants: int
) -> None:
    """Rows of whole pairs, padded: each starts with a prompt, as in use."""
    part = target.with_suffix(".part")
    with part.open("wb") as file, target.with_suffix(".uses").open("wb") as uses_file:
        for ids, uses in _fill_rows(_encode_pairs(path, tokenizer, length, variants), length):
            gap = length - len(ids)
            file.write(np.array(ids + [tokenizer.pad_token_id] * gap, np.uint16).tobytes())
            uses_file.write(np.array(uses + [PADDING] * gap, np.uint8).tobytes())
    part.replace(target.with_suffix(".tokens"))


def _encode_pairs(
    path: Path, tokenizer: PreTrainedTokenizerFast, length: int, variants: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids and uses of each pair: first all of them as they are, then all under other names."""
    pairs = list(read_fit(path))
    renamer, chance = Renamer(pairs), np.random.default_rng(list(path.name.encode()))
    for variant in range(variants):
        for pair in pairs:
            written = renamer.rename(pair, chance) if variant else pair
            encoded = encode_example(tokenizer, written["prompt"], written["completion"], length)
            yield encoded.input_ids, [LEARNT if learnt else PROMPT for learnt in encoded.learnt]


def _fill_rows(
    pairs: Iterator[tuple[list[int], list[int]]], length: int
) -> Iterator[tuple[list[int], list[int]]]:
    """As many whole pairs to a row as fit, each where it leaves the smallest gap; few rows are open."""
    rows: list[tuple[list[int], list[int]]] = []
    for ids, uses in pairs:
        fitting = [row for row in rows if len(row[0]) + len(ids) <= length]
        if fitting:
            fullest = max(fitting, key=lambda row: len(row[0]))
            fullest[0].extend(ids)
            fullest[1].extend(uses)
            continue
        rows.append((list(ids), list(uses)))
        if len(rows) > _OPEN_ROWS:
            rows.sort(key=lambda row: len(row[0]))
            yield rows.pop()
    yield from rows


@dataclass
class Mixture:
    """Draws batches from shards by share; within a shard every row comes once before any comes again.

    `drawn` (rows taken so far, by shard) is the whole state: with the seed it says what comes next.
    """

    rows: dict[str, Rows]
    seed: int
    drawn: dict[str, int] = field(default_factory=dict)
    _orders: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict, repr=False)

    def draw(self, shares: dict[str, float], step: int, batch_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and uses, both of shape (batch_rows, length), int64; all of `shares` are of one length."""
        names = [name for name in shares if name in self.rows]
        weights = np.array([shares[name] for name in names])
        chosen = np.random.default_rng([self.seed, step]).choice(names, batch_rows, p=weights / weights.sum())
        picked = [self._next_row(str(name)) for name in chosen]
        tokens, uses = zip(*picked, strict=True)
        return np.stack(tokens).astype(np.int64), np.stack(uses).astype(np.int64)

    def _next_row(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        rows, taken = self.rows[name], self.drawn.get(name, 0)
        self.drawn[name] = taken + 1
        epoch, position = divmod(taken, rows.count)
        return rows.get(self._order(name, epoch)[position])

    def _order(self, name: str, epoch: int) -> np.ndarray:
        cached = self._orders.get(name)
        if cached is None or cached[0] != epoch:
            seed = [self.seed, epoch, *name.encode()]
            cached = (epoch, np.random.default_rng(seed).permutation(self.rows[name].count))
            self._orders[name] = cached
        return cached[1]
