"""What a config.json may say besides its sizes: values that `transformers` 5.23 builds a model from.

It refuses others itself, but in the middle of a run and in words for programmers. Keys that are not named
here are not looked at.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engine.models.folder import unusable

_ACTIVATIONS = frozenset(
    {"silu", "swish", "gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "gelu_accurate"}
) | {"quick_gelu", "relu", "relu2", "relu6", "mish", "tanh", "sigmoid", "linear"}
_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
_COUNTS = (
    *("query_pre_attn_scalar", "no_rope_layer_interval"),
    *("pretraining_tp", "original_max_position_embeddings"),
)
_ROTATION_NEEDS: dict[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "longrope": ("short_factor", "long_factor"),
    # As phi3 called it before.
    "su": ("short_factor", "long_factor"),
}
"""Of each way to scale rotary positions, the settings that it cannot do without."""


def refuse_odd_values(config: Mapping[str, Any], layers: int, vocabulary: int) -> None:
    """Raise EngineFailure if a value is not of the kind or the size that its key asks for."""
    # Gemma always has layers that look back through a window.
    always_slides = str(config.get("model_type")).startswith("gemma")
    for key, fits in _rules(layers, vocabulary, always_slides).items():
        if key in config and not fits(config[key]):
            raise unusable(
                f"its config.json says something impossible for {key}", "Choose a complete model folder."
            )


def _rules(layers: int, vocabulary: int, always_slides: bool) -> dict[str, Callable[[Any], bool]]:
    def is_token(value: Any) -> bool:
        return value is None or (type(value) is int and -vocabulary <= value < vocabulary)

    def are_tokens(value: Any) -> bool:
        return all(map(is_token, value)) if isinstance(value, list) else is_token(value)

    def are_layer_types(value: Any) -> bool:
        return value is None or (
            isinstance(value, list) and len(value) == layers and all(name in _LAYER_TYPES for name in value)
        )

    def are_rope_flags(value: Any) -> bool:
        return value is None or (
            isinstance(value, list) and len(value) >= layers and all(type(flag) is int for flag in value)
        )

    flags = ("attention_bias", "mlp_bias", "tie_word_embeddings", "use_cache", "use_sliding_window")
    multipliers = ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
    return {
        **dict.fromkeys(flags, _is_flag),
        **dict.fromkeys(multipliers, _is_positive),
        **dict.fromkeys(("rms_norm_eps", "initializer_range"), _is_fraction),
        **dict.fromkeys(("attention_dropout", "resid_pdrop", "embd_pdrop"), _is_share),
        **dict.fromkeys(("final_logit_softcapping", "attn_logit_softcapping"), _is_cap),
        **dict.fromkeys(("hidden_act", "hidden_activation"), _is_activation),
        **dict.fromkeys(("rope_parameters", "rope_scaling"), _is_rotation),
        **dict.fromkeys(_COUNTS, _is_count),
        **dict.fromkeys(("bos_token_id", "pad_token_id"), is_token),
        "eos_token_id": are_tokens,
        "layer_types": are_layer_types,
        "no_rope_layers": are_rope_flags,
        "sliding_window": lambda value: _is_count(value) or (value is None and not always_slides),
        "max_window_layers": lambda value: type(value) is int,
        "rope_theta": _is_positive,
        # Whoever looks ahead cannot be taught to write on.
        "use_bidirectional_attention": lambda value: value is None or value is False,
    }


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < 1


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def _is_cap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and 0 < value < float("inf"))


def _is_activation(value: Any) -> bool:
    return isinstance(value, str) and value in _ACTIVATIONS


def _is_rotation(value: Any) -> bool:
    """None, one way to scale, or one for each kind of layer."""
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    if value.keys() & _LAYER_TYPES:
        return all(_is_rotation(one) for one in value.values())
    way = value.get("rope_type", value.get("type", "default"))
    if not isinstance(way, str) or way not in _ROTATION_NEEDS:
        return False
    numbers = [value[key] for key in ("factor", "rope_theta") if value.get(key) is not None]
    return all(map(_is_positive, numbers)) and all(value.get(key) is not None for key in _ROTATION_NEEDS[way])
