"""A Llama as `LlamaLayer`s over the weights of its `transformers` model, with any method around it.

The model itself stays what PEFT made it: its parameters learn, it is saved and loaded as before. Knows how
`transformers` and PEFT name the parts. Does not know batches, losses or optimizers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.llama_layer import JointMap, LayerSizes, LlamaLayer, Map, Positions
from engine.models import is_plain_llama


def can_build(model: Any) -> bool:
    """Whether all of the model is as `LlamaLayer` has it, and lies in the processor's memory."""
    on_processor = all(parameter.device.type == "cpu" for parameter in model.parameters())
    return on_processor and is_plain_llama(model.config.to_dict())


class LlamaBody:
    """From token ids to the last layer's normed hidden state; products in `dtype`, all else in fp32."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self._model = model
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        self._embedding: Any = base.get_input_embeddings()
        self._rotary: nn.Module = base.model.rotary_emb
        self.norm: Any = base.model.norm
        self._has_prompts = bool(getattr(model, "prompt_encoder", None))
        self._sizes = _read_sizes(base.config)
        self.layers = [_build_layer(self._sizes, layer, dtype) for layer in base.model.layers]

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest layers compute the same for a text in every pass."""
        embeds_alike = not self._has_prompts and not self._embedding.weight.requires_grad
        learning = (number for number, layer in enumerate(self.layers) if layer.learns)
        return next(learning, len(self.layers)) if embeds_alike else 0

    def embed(self, input_ids: Tensor, with_prompts: bool = True) -> Tensor:
        """(texts, positions) -> (texts, virtual tokens + positions, size)."""
        embedded: Tensor = self._embedding(input_ids)
        if self._has_prompts and with_prompts:
            virtual = self._model.get_prompt(batch_size=1).to(embedded.dtype)
            embedded = torch.cat([virtual.expand(len(input_ids), -1, -1), embedded], dim=1)
        return embedded

    def run(self, hidden: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Through the layers from `first` to before `last`; (texts, positions, size) in and out."""
        places = torch.arange(hidden.shape[1])[None]
        cosine, sine = self._rotary(hidden, places)
        positions = Positions(self._sizes, cosine[0].float(), sine[0].float())
        for layer in self.layers[first:last]:
            hidden = layer(hidden, positions)
        return hidden


def _read_sizes(config: Any) -> LayerSizes:
    return LayerSizes(
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        epsilon=config.rms_norm_eps,
    )


def _build_layer(sizes: LayerSizes, layer: Any, dtype: torch.dtype) -> LlamaLayer:
    def join(modules: Sequence[Any]) -> JointMap:
        return JointMap([_read_map(module) for module in modules], dtype)

    if hasattr(layer, "modules_to_save"):
        layer = layer.modules_to_save["default"]
    attention, inner = layer.self_attn, layer.mlp
    return LlamaLayer(
        sizes,
        norms=(layer.input_layernorm.weight, layer.post_attention_layernorm.weight),
        attention_in=join([attention.q_proj, attention.k_proj, attention.v_proj]),
        attention_out=join([attention.o_proj]),
        gate_and_up=join([inner.gate_proj, inner.up_proj]),
        down=join([inner.down_proj]),
    )


def _read_map(module: Any) -> Map:
    if not hasattr(module, "lora_A"):
        return Map(module.weight)
    base = module.get_base_layer()
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    # The update that PEFT's format asks of `last-layers` is zero and stays it.
    if not (down.requires_grad or bool(up.any())):
        return Map(base.weight)
    return Map(base.weight, down, up, module.scaling["default"])
