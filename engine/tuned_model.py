"""A base model and what tuning made of it, in one memory: logits of either side.

With an adapter the base's weights are there once, and the adapter is switched off for the base's turn; a
voice tuned in all layers is a second model. The base side is the untouched model, bit for bit.
Knows folders, transformers and peft. Does not know how tokens are chosen, nor who asks.
"""

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from engine.contract.failures import EngineFailure
from engine.contract.records import Side
from engine.encoding import encode_example, encode_prompt
from engine.models import load_base, load_tokenizer
from engine.opening import Refused, check_adapter, check_model
from engine.sampling import Decoding, Sampling, TextStream

# What the last answers used stays loaded, so that going back and forth between two runs does not wait.
_KEPT_MODELS = 3
_KEPT_BYTES = 6 * 2**30


class TunedModel:
    """Both sides of one run. `artefact` None: the base alone."""

    def __init__(
        self, base_folder: Path, artefact: Path | None, is_adapter: bool, device: str = "cpu"
    ) -> None:
        if artefact:
            _check_artefact(artefact, is_adapter)
        self.tokenizer = _load(load_tokenizer, base_folder, "model_unusable")
        self._base: PreTrainedModel = _load(load_base, base_folder, "model_unusable").to(device).eval()
        self.end_token_ids = find_end_tokens(self._base, self.tokenizer)
        self._adapter: Any = None
        self._whole: PreTrainedModel | None = None
        self._virtual: torch.Tensor | None = None
        self._adapter_is_on = False
        self._has_tuned_side = artefact is not None
        if artefact and is_adapter:
            self._attach(artefact)
        elif artefact:
            self._whole = _load(load_base, artefact, "artefact_damaged").to(device).eval()

    @property
    def window_tokens(self) -> int:
        return int(self._base.config.max_position_embeddings)

    @property
    def bytes(self) -> int:
        models = [self._adapter or self._base, *([self._whole] if self._whole else [])]
        return sum(p.numel() * p.element_size() for model in models for p in model.parameters())

    def start(self, side: Side, prompt: str, sampling: Sampling) -> Decoding:
        """An answer of one side, not begun yet. Both sides read the same prompt within the same limits."""
        ids, room = self._fit(prompt, sampling.max_tokens)
        return Decoding(
            logits_of=lambda token_ids, cache: self.logits(side, token_ids, cache),
            prompt_ids=ids,
            cache=DynamicCache(config=self._base.config),
            end_token_ids=self.end_token_ids,
            text=TextStream(self.tokenizer),
            sampling=Sampling(min(sampling.max_tokens, room), sampling.temperature, sampling.seed),
        )

    def logits(self, side: Side, token_ids: list[int], cache: DynamicCache) -> torch.Tensor:
        """Of the token after `token_ids`, 1-D float32 on the CPU; the cache holds what came before them."""
        with torch.inference_mode():
            model = self._model_of(side)
            ids = torch.tensor([token_ids], device=model.device)
            if side == "tuned" and self._virtual is not None and cache.get_seq_length() == 0:
                words = model.get_input_embeddings()(ids)
                inputs = {"inputs_embeds": torch.cat((self._virtual.to(words.dtype), words), dim=1)}
            else:
                inputs = {"input_ids": ids}
            output = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[0, -1].float().cpu()
        return logits

    def _fit(self, prompt: str, max_tokens: int) -> tuple[list[int], int]:
        """(prompt ids, tokens left for the answer). A long prompt leaves at least a quarter of the window."""
        window = self.window_tokens - (0 if self._virtual is None else self._virtual.shape[1])
        ids = encode_prompt(self.tokenizer, prompt, window - min(max_tokens, window // 4))
        return ids, window - len(ids)

    def _attach(self, artefact: Path) -> None:
        from peft import PeftModel

        with warnings.catch_warnings():
            # peft only warns of weights that the file lacks; the tuned side would be the base in disguise.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            self._adapter = _load(
                lambda folder: PeftModel.from_pretrained(self._base, folder), artefact, "artefact_damaged"
            ).eval()
        if self._adapter.active_peft_config.is_prompt_learning:
            self._virtual = self._adapter.get_prompt(batch_size=1).detach()
        else:
            self._adapter_is_on = True

    def _model_of(self, side: Side) -> PreTrainedModel:
        if side == "tuned" and not self._has_tuned_side:
            raise EngineFailure("conflict", "There is no tuned voice to ask yet.", "", "Tune one first.")
        if side == "tuned" and self._whole is not None:
            return self._whole
        if self._adapter is not None and self._virtual is None:
            self._switch_adapter(side == "tuned")
        return self._base

    def _switch_adapter(self, on: bool) -> None:
        if on == self._adapter_is_on:
            return
        # PeftModel.disable_adapter() does the same after a report on every layer: 20 times slower per token.
        tuner = self._adapter.base_model
        (tuner.enable_adapter_layers if on else tuner.disable_adapter_layers)()
        self._adapter_is_on = on


class LoadedModels:
    """The models of the last answers. A folder that changed since is another model."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._kept: OrderedDict[tuple[Any, ...], TunedModel] = OrderedDict()

    def get(self, base_folder: Path, artefact: Path | None, is_adapter: bool) -> TunedModel:
        key = (base_folder, _version(base_folder), artefact, artefact and _version(artefact), is_adapter)
        if key not in self._kept:
            self._make_room()
            self._kept[key] = TunedModel(base_folder, artefact, is_adapter, self._device)
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        self._kept.clear()

    def _make_room(self) -> None:
        while self._kept and (
            len(self._kept) >= _KEPT_MODELS or sum(model.bytes for model in self._kept.values()) > _KEPT_BYTES
        ):
            self._kept.popitem(last=False)


def find_end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends an answer: of the model's settings, of the tokenizer, of the chat template."""
    ends: set[int] = set()
    for declared in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        ends.update(declared if isinstance(declared, list) else [] if declared is None else [declared])
    taught = encode_example(tokenizer, "?", "!", max_tokens=1_000).input_ids[-1]
    return frozenset(ends | ({taught} & set(tokenizer.all_special_ids)))


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


def _load(load: Any, folder: Path, code: Any) -> Any:
    try:
        return load(folder)
    except (MemoryError, torch.OutOfMemoryError, EngineFailure):
        raise
    except Exception as error:
        # The loaders raise whatever the file at hand provokes: OSError, KeyError, RuntimeError, UserWarning.
        what = "The base model" if code == "model_unusable" else "The tuned voice"
        raise EngineFailure(
            code,
            f"{what} could not be loaded: its files are missing or damaged.",
            "Your examples are as they were.",
            "Choose another base model." if code == "model_unusable" else "Tune the voice again.",
        ) from error


def _version(folder: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
