"""A base model and what tuning made of it, in one memory: answers of either side, many at once.

With an adapter the base's weights are there once; a voice tuned in all layers is a second model. Answers that
can share a forward pass are in one `Together`: both sides with LoRA, whose part is added to the tuned rows
alone, and with p-tuning, whose virtual tokens are only another beginning; each side for itself otherwise.

The base side is the untouched model: no number of an adapter reaches its rows. Alone, or among base answers
only, its logits are bit for bit those that the untouched model gives for the same rows. In a pass shared
with tuned rows they are bit for bit those of the untouched model in a pass of as many rows.

Knows folders, transformers and peft. Does not know how tokens are chosen, nor who asks.
"""

import warnings
from collections import OrderedDict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from engine.contract.failures import EngineFailure
from engine.contract.records import Side, Turn
from engine.encoding import encode_example, encode_prompt
from engine.models.load import load_base, load_tokenizer
from engine.opening import Refused, check_adapter, check_model
from engine.rows import Row
from engine.sampling import Decoding, Sampling, TextStream
from engine.together import Together

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
        self._base: PreTrainedModel = _still(_load(load_base, base_folder, "model_unusable").to(device))
        self.end_token_ids = find_end_tokens(self._base, self.tokenizer)
        self._adapter: Any = None
        self._whole: PreTrainedModel | None = None
        self._virtual: torch.Tensor | None = None
        self._adapter_is_on = False
        self._first_tuned: int | None = None
        """In a pass of both sides: from this row on LoRA's part is added."""
        self._sides_share_passes = False
        self._together: dict[str, Together] = {}
        self._has_tuned_side = artefact is not None
        if artefact and is_adapter:
            self._attach(artefact)
        elif artefact:
            self._whole = _still(_load(load_base, artefact, "artefact_damaged").to(device))

    @property
    def window_tokens(self) -> int:
        return int(self._base.config.max_position_embeddings)

    @property
    def bytes(self) -> int:
        models = [self._adapter or self._base, *([self._whole] if self._whole else [])]
        return sum(p.numel() * p.element_size() for model in models for p in model.parameters())

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
        )
        return Row(side, decoding)

    def together(self, side: Side) -> Together:
        """Where answers of this side advance: with all others that the same forward pass can serve."""
        key = "both" if self._sides_share_passes else side
        return self._together.setdefault(key, Together(self))

    def answer(self, side: Side, prompt: str, sampling: Sampling) -> tuple[str, Decoding]:
        """The whole answer of one side, with nothing computed beside it."""
        row, alone = self.start(side, prompt, sampling), Together(self)
        pieces = [delta.text for _, delta in alone.begin([row])]
        while alone.rows:
            pieces += [delta.text for _, delta in alone.advance()]
        return "".join(pieces), row.decoding

    # --- forward passes -------------------------------------------------------------------------------

    def embed(self, side: Side, token_ids: Sequence[int]) -> torch.Tensor:
        """(tokens, hidden size): what the layers are given for these tokens."""
        model = self._whole if side == "tuned" and self._whole is not None else self._base
        words: torch.Tensor = model.get_input_embeddings()(torch.tensor(token_ids, device=model.device))
        return words

    def embed_beginning(self, side: Side, token_ids: Sequence[int]) -> torch.Tensor:
        """The same for the beginning of a prompt."""
        words = self.embed(side, token_ids)
        if side == "base" or self._virtual is None:
            return words
        return torch.cat((self._virtual[0].to(words.dtype), words))

    @property
    def bytes_per_position(self) -> int:
        """What a cache keeps of one token."""
        config = self._base.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * size * self._base.dtype.itemsize)

    @property
    def sees_all(self) -> bool:
        """Whether every layer looks back to the beginning, so that padding may stand anywhere."""
        return not getattr(self._base.config, "sliding_window", None)

    def logits(
        self,
        sides: Sequence[Side],
        embedded: torch.Tensor,
        cache: DynamicCache,
        mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Of the token after each row of `embedded`: (rows, vocabulary), float32 on the CPU.

        The cache holds what came before. Base rows come before tuned ones. `mask` and `positions` are those
        of `transformers`, needed where rows are padded.
        """
        model = self._model_of(sides)
        try:
            output = model(
                inputs_embeds=embedded,
                past_key_values=cache,
                attention_mask=mask,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
            )
        finally:
            self._first_tuned = None
        logits: torch.Tensor = output.logits[:, -1].float().cpu()
        return logits

    def _fit(self, prompt: str, max_tokens: int, turns: Sequence[Turn]) -> tuple[list[int], int]:
        """(prompt ids, tokens left for the answer). A long prompt leaves at least a quarter of the window."""
        window = self.window_tokens - (0 if self._virtual is None else self._virtual.shape[1])
        ids = encode_prompt(self.tokenizer, prompt, window - min(max_tokens, window // 4), turns)
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
            self._sides_share_passes = True
            return
        self._adapter_is_on = True
        layers = _find_plain_lora(self._adapter)
        self._sides_share_passes = bool(layers)
        for layer in layers:
            layer.register_forward_hook(self._add_to_tuned_rows)

    def _add_to_tuned_rows(self, layer: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        """What peft adds to every row, added to the tuned ones, after peft was told to add it to none.

        peft's own way (`adapter_names`) takes 1.4 times as long per token for 16 rows of a small model.
        """
        first = self._first_tuned
        if first is not None:
            (name,) = layer.active_adapters
            low = layer.lora_A[name](inputs[0][first:])
            output[first:] += layer.lora_B[name](low) * layer.scaling[name]

    def _model_of(self, sides: Sequence[Side]) -> PreTrainedModel:
        """The model, ready to be called for rows of these sides."""
        first_tuned = sides.index("tuned") if "tuned" in sides else None
        if first_tuned is not None and self._whole is not None:
            return self._whole
        if self._adapter is not None and self._virtual is None:
            self._switch_adapter(first_tuned == 0)
            self._first_tuned = first_tuned or None
        return self._base

    def _switch_adapter(self, on: bool) -> None:
        if on == self._adapter_is_on:
            return
        # PeftModel.disable_adapter() does the same after a report on every layer: 20 times slower per token.
        tuner = self._adapter.base_model
        (tuner.enable_adapter_layers if on else tuner.disable_adapter_layers)()
        self._adapter_is_on = on


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


def _still(model: PreTrainedModel) -> PreTrainedModel:
    """Ready to answer and not to learn.

    torch rounds a product with a weight that could learn otherwise than one with a frozen weight, and an
    adapter freezes its base: frozen everywhere, the base is the same with an adapter and without.
    """
    still: PreTrainedModel = model.requires_grad_(False).eval()
    return still


def _find_plain_lora(adapter: Any) -> list[Any]:
    """The layers that LoRA adds to, if the adapter does nothing else: then it can be added row by row."""
    from peft.tuners.lora.layer import Linear
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    modules = list(adapter.modules())
    layers = [module for module in modules if isinstance(module, BaseTunerLayer)]
    is_plain = all(type(layer) is Linear and not layer.lora_variant for layer in layers)
    replaces = any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules)
    return layers if is_plain and not replaces and adapter.active_peft_config.bias == "none" else []


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
