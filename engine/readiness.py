"""What a trainer loads before it knows its run, so that the run need not wait for it.

The libraries, then a rehearsal in small, at which they load the rest. Nothing of it changes what a run
learns: its random numbers are seeded when it begins. Does not know orders or runs.
"""

import gc
from collections.abc import Callable
from importlib import import_module

from engine.contract.records import Example, Recipe
from engine.methods import get_method
from engine.models.bundled import BUNDLED
from engine.models.inspect import fingerprint, read_shape
from engine.models.load import load_tokenizer

_LIBRARIES = ("torch", "datasets", "transformers.models.llama.modeling_llama", "peft", "engine.training")


def get_ready(enough: Callable[[], bool] = lambda: False) -> bool:
    """Load the libraries and rehearse; False if `enough` says that there is no time for a rehearsal."""
    load_libraries()
    if enough():
        return False
    rehearse()
    return True


def load_libraries() -> None:
    # Looking through all that was loaded so far for garbage, again and again, takes a sixth of the time.
    gc.disable()
    for library in _LIBRARIES:
        import_module(library)
    gc.freeze()
    gc.enable()


def rehearse() -> None:
    """A step on the processor with a tiny random model: tokenizer, adapter, forward, backward, update.

    In the number format that a run of the bundled model has, so that its kernels are compiled. Without the
    bundled model there is nothing to rehearse with, and nothing is.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from engine.batches import make_batch, tokenize
    from engine.device import Device, choose_precision
    from engine.evaluation import CompletionLoss

    if not BUNDLED.is_complete():
        return
    folder = BUNDLED.folder
    fingerprint(folder)
    example = Example(prompt="Describe the tent.", completion="A tent for two.", split="train")
    tokenizer = load_tokenizer(folder)
    rows = tokenize(tokenizer, [example], "train", max_tokens=64)
    sizes = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 2}
    tiny = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **sizes))
    model = get_method("lora").prepare_model(tiny, Recipe(method="lora", rank=1))
    optimizer = torch.optim.AdamW(
        [value for value in model.parameters() if value.requires_grad], lr=1e-3, fused=True
    )
    device = Device("cpu", "whatever computes the run: this is over sooner")
    shape = read_shape(folder)
    precision = choose_precision(device, shape.hidden_size, shape.intermediate_size).name
    loss = CompletionLoss(model, device, precision)
    torch.autograd.backward(loss(make_batch(rows, [0], pad_id=0)))
    optimizer.step()
