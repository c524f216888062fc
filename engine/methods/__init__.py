"""The four methods, siblings of one shape: which weights learn, what is downloaded, what it costs.

    last_layers.py   the last one or two transformer layers, all else frozen
    all_layers.py    every weight
    p_tuning.py      virtual tokens before the text, written by a small encoder
    lora.py          low-rank updates on all linear layers

Every module has the same members (`Method`), so that training, estimates and export never ask which method
it is (but for `IS_ADAPTER`):

    NAME          its MethodName
    IS_ADAPTER    True: the artefact is a PEFT adapter folder; False: a whole transformers model folder
    build_recipe(recipe, examples, shape)    -> Recipe with every default filled in for so many train examples
                                                of a model of this shape
    count_trainable(shape, recipe)           -> parameters that learn
    count_flops(shape, recipe)               -> Flops per token (forward, backward), head and body apart
    artefact_bytes(shape, recipe)            -> bytes of the artefact on disk, tokenizer included
    prepare_model(model, recipe, words)      -> the module to train; `words` are the tokens that virtual ones
                                                begin as
    save_artefact(model, base_folder, folder)   writes the standard artefact, safetensors only

Only the last two import torch and peft, and only when called: the supervisor counts. What all share is in
`defaults.py` (recipes), `flops.py` (work) and `artefacts.py` (files).
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from engine.contract.records import MethodName, Recipe
from engine.methods.flops import Flops
from engine.models.inspect import ModelShape

# A longer exchange is cut: memory grows with length, and a brand's examples are short.
MAX_EXAMPLE_TOKENS = 2048


class Method(Protocol):
    """What each method's module offers."""

    NAME: MethodName
    IS_ADAPTER: bool

    def build_recipe(self, recipe: Recipe, examples: int, shape: ModelShape) -> Recipe: ...
    def count_trainable(self, shape: ModelShape, recipe: Recipe) -> int: ...
    def count_flops(self, shape: ModelShape, recipe: Recipe) -> Flops: ...
    def artefact_bytes(self, shape: ModelShape, recipe: Recipe) -> int: ...
    def prepare_model(self, model: Any, recipe: Recipe, words: Sequence[int] = ()) -> Any: ...
    def save_artefact(self, model: Any, base_folder: Path, folder: Path) -> None: ...


def get_method(name: MethodName) -> Method:
    return cast(Method, import_module(f"engine.methods.{name.replace('-', '_')}"))


def max_example_tokens(window_tokens: int, recipe: Recipe) -> int:
    """Tokens that prompt and completion may have together: the model's window less the virtual tokens."""
    return min(window_tokens - (recipe.virtual_tokens or 0), MAX_EXAMPLE_TOKENS)
