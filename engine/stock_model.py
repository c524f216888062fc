"""A base model and what tuning made of it, as `transformers` and `peft` run them: for every model that
`engine/llama_decoder.py` does not know, and on graphics cards.

With an adapter the base's weights are there once; a voice tuned in all layers is a second model. Answers that
can share a forward pass are in one `Together`: both sides with LoRA, whose part is added to the tuned rows
alone, and with p-tuning, whose virtual tokens are only another beginning; each side for itself otherwise.

The base side is the untouched model: no number of an adapter reaches its rows. Alone, or among base answers
only, its logits are bit for bit those that the untouched model gives for the same rows. In a pass shared
with tuned rows they are bit for bit those of the untouched model in a pass of as many rows.

Knows folders, transformers and peft. Does not know how tokens are chosen, nor who asks.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from engine.contract.records import Side
from engine.loading import load_or_fail
from engine.models.load import load_base
from engine.together import Together


class StockModel:
    """Both sides of one run. `artefact` None: the base alone."""

    def __init__(self, base_folder: Path, artefact: Path | None, is_adapter: bool, device: str) -> None:
        self._base: PreTrainedModel = _still(
            load_or_fail(load_base, base_folder, "model_unusable").to(device)
        )
        self._adapter: Any = None
        self._whole: PreTrainedModel | None = None
        self._virtual: torch.Tensor | None = None
        self._adapter_is_on = False
        self._first_tuned: int | None = None
        """In a pass of both sides: from this row on LoRA's part is added."""
        self._sides_share_passes = False
        self._together: dict[str, Together] = {}
        if artefact and is_adapter:
            self._attach(artefact)
        elif artefact:
            self._whole = _still(load_or_fail(load_base, artefact, "artefact_damaged").to(device))

    @property
    def window_tokens(self) -> int:
        return int(self._base.config.max_position_embeddings)

    @property
    def virtual_tokens(self) -> int:
        return 0 if self._virtual is None else int(self._virtual.shape[1])

    @property
    def bytes(self) -> int:
        models = [self._adapter or self._base, *([self._whole] if self._whole else [])]
        return sum(p.numel() * p.element_size() for model in models for p in model.parameters())

    def together(self, side: Side) -> Together:
        key = "both" if self._sides_share_passes else side
        return self._together.setdefault(key, Together(self))

    def alone(self) -> Together:
        return Together(self)

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

    def _attach(self, artefact: Path) -> None:
        from peft import PeftModel

        with warnings.catch_warnings():
            # peft only warns of weights that the file lacks; the tuned side would be the base in disguise.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            self._adapter = load_or_fail(
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
