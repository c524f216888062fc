"""A base model and what tuning made of it, in one memory: answers of either side, many at once.

A plain Llama on the processor is run by our own decoder, everything else by the stock libraries; both are
asked in the same way. Knows folders, prompts and windows. Does not know how an answer is computed
(`engine/llama_decoder.py`, `engine/stock_model.py`), how tokens are chosen, nor who asks.
"""

import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.answer_batch import AnswerBatch, Row
from engine.contract.failures import EngineFailure
from engine.contract.records import Side, Turn
from engine.decode_batch import CACHE_BYTES, DecodeBatch
from engine.encoding import encode_example, encode_prompt
from engine.light_tokenizer import open_tokenizer
from engine.llama_decoder import LlamaDecoder
from engine.llama_weights import Tuning, read_llama, read_tuning
from engine.loading import load_or_fail
from engine.models.inspect import read_repetition_penalty
from engine.opening import Refused, check_adapter, check_model
from engine.sampling import Decoding, Sampling, TextStream

# What the last answers used stays loaded, so that going back and forth between two runs does not wait.
_KEPT_MODELS = 3
_KEPT_BYTES = 6 * 2**30


class Backend(Protocol):
    """What computes the answers of both sides of a run."""

    @property
    def window_tokens(self) -> int: ...
    @property
    def virtual_tokens(self) -> int:
        """So many positions of the window a tuned prompt has before it."""
        ...

    @property
    def bytes(self) -> int: ...
    def together(self, side: Side) -> AnswerBatch:
        """Where answers of this side advance: with all others that the same pass can serve."""
        ...

    def alone(self) -> AnswerBatch:
        """A batch for an answer with nothing computed beside it."""
        ...


class LlamaBackend:
    """Our own decoder: all answers of both sides are one batch."""

    def __init__(self, decoder: LlamaDecoder) -> None:
        self._decoder = decoder
        self._batch = DecodeBatch(decoder)

    @property
    def window_tokens(self) -> int:
        return self._decoder.shape.window

    @property
    def virtual_tokens(self) -> int:
        return 0 if self._decoder.virtual is None else len(self._decoder.virtual)

    @property
    def bytes(self) -> int:
        return self._decoder.bytes

    def together(self, side: Side) -> DecodeBatch:
        return self._batch

    def alone(self) -> DecodeBatch:
        return DecodeBatch(self._decoder)


class TunedModel:
    """Both sides of one run. `artefact` None: the base alone."""

    def __init__(
        self,
        base_folder: Path,
        artefact: Path | None,
        is_adapter: bool,
        device: str = "cpu",
        tokenizer_folder: Path | None = None,
    ) -> None:
        """`tokenizer_folder`: where the tokenizer lies if not beside the base."""
        if artefact:
            _check_artefact(artefact, is_adapter)
        self.backend: Backend = open_decoder(base_folder, artefact, is_adapter, device) or open_stock(
            base_folder, artefact, is_adapter, device
        )
        self.tokenizer = load_or_fail(open_tokenizer, tokenizer_folder or base_folder, "model_unusable")
        self.end_token_ids = find_end_tokens(base_folder, self.tokenizer)
        self._repetition_penalty = read_repetition_penalty(base_folder)
        self._has_tuned_side = artefact is not None

    @property
    def window_tokens(self) -> int:
        return self.backend.window_tokens

    @property
    def bytes(self) -> int:
        return self.backend.bytes

    def start(self, side: Side, prompt: str, sampling: Sampling, turns: Sequence[Turn] = ()) -> Row:
        """An answer of one side, not begun yet. Both sides read the same prompt within the same limits."""
        if side == "tuned" and not self._has_tuned_side:
            raise EngineFailure("conflict", "There is no tuned voice to ask yet.", "", "Tune one first.")
        ids, room = self._fit(prompt, sampling.max_tokens, turns)
        decoding = Decoding(
            prompt_ids=ids,
            end_token_ids=self.end_token_ids,
            text=TextStream(self.tokenizer),
            sampling=Sampling(min(sampling.max_tokens, room), sampling.temperature, sampling.seed),
            repetition_penalty=self._repetition_penalty,
        )
        return Row(side, decoding)

    def together(self, side: Side) -> AnswerBatch:
        """Where answers of this side advance."""
        return self.backend.together(side)

    def answer(self, side: Side, prompt: str, sampling: Sampling) -> tuple[str, Decoding]:
        """The whole answer of one side, with nothing computed beside it."""
        row, alone = self.start(side, prompt, sampling), self.backend.alone()
        pieces = [delta.text for _, delta in alone.begin([row])]
        while alone.rows:
            pieces += [delta.text for _, delta in alone.advance()]
        return "".join(pieces), row.decoding

    def answer_all(self, asked: Sequence[tuple[Side, str]], sampling: Sampling) -> list[tuple[str, Decoding]]:
        """The whole answers to prompts of either side, as many side by side as there is room for."""
        rows = [self.start(side, prompt, sampling) for side, prompt in asked]
        pieces: dict[Row, list[str]] = {row: [] for row in rows}
        for batch in dict.fromkeys(self.together(row.side) for row in rows):
            waiting = [row for row in rows if self.together(row.side) is batch]
            while waiting or batch.rows:
                fitting = _fit_in(batch, waiting)
                waiting = waiting[len(fitting) :]
                for row, delta in batch.begin(fitting) if fitting else batch.advance():
                    pieces[row].append(delta.text)
        return [("".join(pieces[row]), row.decoding) for row in rows]

    def _fit(self, prompt: str, max_tokens: int, turns: Sequence[Turn]) -> tuple[list[int], int]:
        """(prompt ids, tokens left for the answer). A long prompt leaves at least a quarter of the window."""
        window = self.window_tokens - self.backend.virtual_tokens
        ids = encode_prompt(self.tokenizer, prompt, window - min(max_tokens, window // 4), turns)
        return ids, window - len(ids)


class LoadedModels:
    """The models of the last answers. A folder that changed since is another model.

    A busy one, which still answers, is never let go: it would be loaded a second time beside itself.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._kept: OrderedDict[tuple[Any, ...], TunedModel] = OrderedDict()

    def get(
        self,
        base_folder: Path,
        artefact: Path | None,
        is_adapter: bool,
        busy: Collection[TunedModel] = (),
    ) -> TunedModel:
        key = (base_folder, _version(base_folder), artefact, artefact and _version(artefact), is_adapter)
        if key not in self._kept:
            self._make_room(busy)
            self._kept[key] = TunedModel(base_folder, artefact, is_adapter, self._device)
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self, busy: Collection[TunedModel] = ()) -> None:
        for key in self._idle(busy):
            del self._kept[key]

    def _make_room(self, busy: Collection[TunedModel]) -> None:
        for key in self._idle(busy):
            size = sum(model.bytes for model in self._kept.values())
            if len(self._kept) < _KEPT_MODELS and size <= _KEPT_BYTES:
                break
            del self._kept[key]

    def _idle(self, busy: Collection[TunedModel]) -> list[tuple[Any, ...]]:
        """Oldest first."""
        return [key for key, model in self._kept.items() if model not in busy]


def open_decoder(
    base_folder: Path, artefact: Path | None, is_adapter: bool, device: str
) -> LlamaBackend | None:
    """Our own decoder, if the base is a plain Llama and the artefact one that our methods write."""
    base = read_llama(base_folder) if device == "cpu" else None
    if base is None:
        return None
    tuning = read_tuning(artefact, is_adapter, base) if artefact else Tuning()
    return LlamaBackend(LlamaDecoder(base, tuning, CACHE_BYTES)) if tuning else None


def open_stock(base_folder: Path, artefact: Path | None, is_adapter: bool, device: str) -> Backend:
    """The libraries' own models."""
    # Imports transformers, which takes longer than all else.
    from engine.stock_model import StockModel

    return StockModel(base_folder, artefact, is_adapter, device)


def _fit_in(batch: AnswerBatch, waiting: Sequence[Row]) -> list[Row]:
    """Of the waiting, in order, those for whom there is room now."""
    fitting: list[Row] = []
    for row in waiting:
        if not batch.has_room_for([*fitting, row]):
            break
        fitting.append(row)
    return fitting


def find_end_tokens(base_folder: Path, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer: of the model's settings, of the tokenizer, of the chat template."""
    files = [base_folder / name for name in ("generation_config.json", "config.json")]
    declared = [json.loads(file.read_text("utf-8")).get("eos_token_id") for file in files if file.is_file()]
    ends = set(_flatten([*declared, tokenizer.eos_token_id]))
    taught = encode_example(tokenizer, "?", "!", max_tokens=1_000).input_ids[-1]
    return frozenset(ends | ({taught} & set(tokenizer.all_special_ids)))


def _flatten(declared: Iterable[Any]) -> Iterable[int]:
    for one in declared:
        yield from one if isinstance(one, list) else [] if one is None else [one]


def _check_artefact(folder: Path, is_adapter: bool) -> None:
    try:
        (check_adapter if is_adapter else check_model)(folder)
    except Refused as refused:
        raise EngineFailure(
            "artefact_damaged",
            "The tuned voice on this machine is damaged and was not loaded.",
            "Your examples and the base model are as they were.",
            "Tune the voice again.",
        ) from refused


def _version(folder: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
