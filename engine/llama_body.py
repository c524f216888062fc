"""A Llama as `LlamaLayer`s over the weights of its `transformers` model, with any method around it.

The model itself stays what PEFT made it: its parameters learn, it is saved and loaded as before. Knows how
`transformers` and PEFT name the parts. Does not know losses or optimizers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine import kernels
from engine.attention import Attention
from engine.batches import Batch
from engine.device import ATTENTION_BLOCK, ROWS_MULTIPLE
from engine.file_pages import MappedFiles
from engine.layout import Heads, Layout
from engine.llama_layer import JointMap, LlamaLayer, Map
from engine.models.inspect import is_plain_llama


def can_build(model: Any) -> bool:
    """Whether all of the model is as `LlamaLayer` has it, and lies in the processor's memory."""
    on_processor = all(parameter.device.type == "cpu" for parameter in model.parameters())
    return on_processor and is_plain_llama(model.config.to_dict())


class LlamaBody:
    """From a batch to the hidden states of its last layer; products in `dtype`, all else in fp32."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self._model, self._dtype = model, dtype
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        self._embedding: Any = base.get_input_embeddings()
        self._rotary: nn.Module = base.model.rotary_emb
        self._norm: Any = base.model.norm
        self._has_prompts = bool(getattr(model, "prompt_encoder", None))
        self._heads = Heads(base.config.num_attention_heads, base.config.num_key_value_heads)
        epsilon = base.config.rms_norm_eps
        files = MappedFiles()
        self.layers = [_build_layer(epsilon, layer, dtype, files) for layer in base.model.layers]
        _leave_file(model, self.layers, dtype)
        weight = base.get_output_embeddings().weight
        self.head: Tensor = weight if weight.requires_grad else weight.to(dtype)
        """(vocabulary, size), in `dtype` if it does not learn."""
        # Looked up anew: the file may be gone, and other memory lie where it was.
        MappedFiles().let_go(parameter for parameter in model.parameters() if not parameter.requires_grad)
        kernels.load(dtype)

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest layers compute the same for a text in every pass; never the last one."""
        embeds_alike = not self._has_prompts and not self._embedding.weight.requires_grad
        learning = (number for number, layer in enumerate(self.layers) if layer.learns)
        return min(next(learning, len(self.layers)), len(self.layers) - 1) if embeds_alike else 0

    def run_frozen(self, batch: Batch) -> Tensor:
        """(texts, positions, size): what goes into the lowest layer that learns."""
        rows, layout = self._enter(batch, with_prompts=False)
        attention = self._attention(rows, layout)
        for layer in self.layers[: self.frozen_layers]:
            rows = layer(rows, attention)
        return rows[layout.row_at]

    def run(self, batch: Batch, with_prompts: bool = True) -> Tensor:
        """(learnt tokens, size), normed: what the head is given, in the order of `batch.targets`.

        Begins where `batch.hidden` ends, if that is there. After the last attention nothing is computed of
        a token that no learnt one follows.
        """
        rows, layout = self._enter(batch, with_prompts)
        texts, positions = batch.learnt.nonzero(as_tuple=True)
        wanted = layout.choose(texts, positions + layout.virtual)
        attention = self._attention(rows, layout)
        for layer in self.layers[0 if batch.hidden is None else self.frozen_layers : -1]:
            rows = layer(rows, attention)
        rows = self.layers[-1](rows, self._attention(rows, layout, wanted))
        normed: Tensor = self._norm(rows[: len(texts)])
        return normed

    def _enter(self, batch: Batch, with_prompts: bool) -> tuple[Tensor, Layout]:
        """The rows below the first layer that is to be run."""
        virtual = self._model.get_prompt(batch_size=1)[0] if self._has_prompts and with_prompts else None
        layout = Layout(
            batch.lengths, batch.shared, ROWS_MULTIPLE[self._dtype], 0 if virtual is None else len(virtual)
        )
        width = batch.input_ids.shape[1]
        places = layout.text_of * width + (layout.position_of - layout.virtual).clamp_(min=0)
        places = places[layout.virtual :]
        if batch.hidden is not None:
            return batch.hidden.flatten(0, 1).index_select(0, places), layout
        rows = self._embed(batch.input_ids.flatten()[places])
        return rows if virtual is None else torch.cat([virtual.to(rows.dtype), rows]), layout

    def _embed(self, ids: Tensor) -> Tensor:
        """(rows) -> (rows, size). What comes back is added to few rows of the weight's gradient.

        Autograd would make a second one, as wide as the vocabulary, and add it to that of a tied head.
        """
        weight: Tensor = self._embedding.weight
        rows: Any = weight.detach().index_select(0, ids)
        if weight.requires_grad and torch.is_grad_enabled():
            rows.requires_grad_().register_post_accumulate_grad_hook(self._add_to_embedding(ids))
        embedded: Tensor = rows
        return embedded

    def _add_to_embedding(self, ids: Tensor) -> Callable[[Any], None]:
        weight, padding = self._embedding.weight, self._embedding.padding_idx

        def add(rows: Any) -> None:
            if padding is not None:
                rows.grad[ids == padding] = 0.0
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            weight.grad.index_add_(0, ids, rows.grad)
            rows.grad = None

        return add

    def _attention(self, rows: Tensor, layout: Layout, wanted: Tensor | None = None) -> Attention:
        cosine, sine = self._rotary(rows, torch.arange(layout.positions)[None])
        block = ATTENTION_BLOCK[self._dtype]
        return Attention(layout, self._heads, cosine[0].float(), sine[0].float(), block, wanted)


def _build_layer(epsilon: float, layer: Any, dtype: torch.dtype, files: MappedFiles) -> LlamaLayer:
    def join(modules: Sequence[Any]) -> JointMap:
        return JointMap([_read_map(module) for module in modules], dtype)

    if hasattr(layer, "modules_to_save"):
        layer = layer.modules_to_save["default"]
    attention, inner = layer.self_attn, layer.mlp
    built = LlamaLayer(
        epsilon,
        norms=(layer.input_layernorm.weight, layer.post_attention_layernorm.weight),
        attention_in=join([attention.q_proj, attention.k_proj, attention.v_proj]),
        attention_out=join([attention.o_proj]),
        gate_and_up=join([inner.gate_proj, inner.up_proj]),
        down=join([inner.down_proj]),
    )
    # Layer by layer: the whole model need never be there twice.
    files.let_go(weight for joint in built.maps for weight in joint.left_behind)
    return built


def _leave_file(model: Any, layers: Sequence[LlamaLayer], dtype: torch.dtype) -> None:
    """Copy what learns out of the mapped file, where the first step would copy it page by page.

    In fp32 also what is frozen and has not moved into a `JointMap`: then nothing keeps the file in memory.
    """
    moved = {joint.weight.untyped_storage().data_ptr() for layer in layers for joint in layer.maps}
    for parameter in model.parameters():
        stays = dtype != torch.float32 and not parameter.requires_grad
        if not stays and parameter.untyped_storage().data_ptr() not in moved:
            parameter.data = parameter.data.clone()


def _read_map(module: Any) -> Map:
    if not hasattr(module, "lora_A"):
        return Map(module.weight)
    base = module.get_base_layer()
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    # The update that PEFT's format asks of `last-layers` is zero and stays it.
    if not (down.requires_grad or bool(up.any())):
        return Map(base.weight)
    return Map(base.weight, down, up, module.scaling["default"])
