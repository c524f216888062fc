"""A model of every architecture comes out of its GGUF file as it went in, with llama.cpp as the judge."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Form

from engine.models.check import check_folder
from engine.models.gguf_import import import_gguf
from tests.engine.gguf_files import KINDS, LLAMA3, SCALES, Written, byte_level, readable, write_gguf
from tests.engine.llama_cpp import llama_cpp


def bring_in(written: Written, folder: Path) -> Any:
    """The model as stock transformers opens the folder."""
    from transformers import AutoModelForCausalLM

    folder.mkdir()
    import_gguf(written.file, folder, lambda done, total: None)
    check_folder(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()


def greedy(model: Any, ids: list[int], count: int) -> list[tuple[int, float]]:
    import torch

    said: list[tuple[int, float]] = []
    with torch.no_grad():
        for _ in range(count):
            scores = model(torch.tensor([ids + [token for token, _ in said]])).logits[0, -1].log_softmax(-1)
            said.append((int(scores.argmax()), float(scores.max())))
    return said


@pytest.fixture(params=list(KINDS))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    return write_gguf(tmp_path / "tiny.gguf", KINDS[request.param], readable())


def test_the_weights_are_those_that_went_in(written: Written, tmp_path: Path) -> None:
    import torch

    model = bring_in(written, tmp_path / "folder")
    theirs, ours = written.model.state_dict(), model.state_dict()
    assert theirs.keys() == ours.keys()
    for name, tensor in theirs.items():
        # One was added to Gemma's norms in fp32, and taken away again.
        assert torch.allclose(ours[name], tensor, atol=1e-6 if written.kind.norm_shift else 0, rtol=0), name


def test_it_computes_what_llama_cpp_computes(written: Written, tmp_path: Path) -> None:
    model = bring_in(written, tmp_path / "folder")
    ids = [(7 * place) % 300 + 5 for place in range(24)]
    with llama_cpp(written.file) as judge:
        theirs = judge.greedy(ids, 8)
    ours = greedy(model, ids, 8)
    assert [token for token, _ in ours] == [token for token, _ in theirs]
    # Gemma's activation comes out of a table in fp16 there.
    bound = 2e-3 if written.kind.norm_shift else 1e-4
    assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], abs=bound)


@pytest.mark.parametrize("form", [Form.F16, Form.BF16, Form.Q8_0, Form.Q4_0, Form.Q4_1, Form.Q5_0, Form.Q5_1])
def test_every_common_number_format_is_read(form: Form, tmp_path: Path) -> None:
    import gguf
    import torch

    written = write_gguf(tmp_path / "tiny.gguf", KINDS["llama"], byte_level(), quantise=form)
    model = bring_in(written, tmp_path / "folder")
    stored = next(
        tensor for tensor in gguf.GGUFReader(written.file).tensors if tensor.name == "blk.1.ffn_up.weight"
    )
    reference = torch.tensor(gguf.dequantize(stored.data, stored.tensor_type)).to(torch.bfloat16).float()
    assert torch.equal(model.model.layers[1].mlp.up_proj.weight, reference)


def test_a_llama_whose_attention_looks_back_so_far_only_is_a_mistral(tmp_path: Path) -> None:
    window = {"head_dim": 32, "sliding_window": 8}
    kind = replace(KINDS["mistral"], options=window, metadata={"attention.sliding_window": 8})
    written = write_gguf(tmp_path / "tiny.gguf", kind, readable())
    model = bring_in(written, tmp_path / "folder")
    assert (model.config.model_type, model.config.sliding_window) == ("mistral", 8)
    ids = [(7 * place) % 300 + 5 for place in range(24)]
    assert greedy(model, ids, 4) == greedy(written.model, ids, 4)


def test_the_rope_scaling_of_llama_3_is_recovered(tmp_path: Path) -> None:
    model = bring_in(write_gguf(tmp_path / "tiny.gguf", KINDS["llama3"], readable()), tmp_path / "folder")
    assert dict(model.config.rope_parameters) == LLAMA3


@pytest.mark.parametrize("form", list(SCALES))
def test_the_formats_that_most_files_have_are_read_as_llama_cpp_reads_them(
    form: Form, tmp_path: Path
) -> None:
    """It rounds activations to 8 bits, so log-probabilities differ by some hundredths."""
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2}
    written = write_gguf(
        tmp_path / "tiny.gguf", replace(KINDS["llama"], options=sizes), readable(), quantise=form
    )
    model = bring_in(written, tmp_path / "folder")
    ids = [(7 * place) % 300 + 5 for place in range(24)]
    with llama_cpp(written.file) as judge:
        theirs = judge.greedy(ids, 4)
    ours = greedy(model, ids, 4)
    assert [token for token, _ in ours] == [token for token, _ in theirs]
    assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], abs=0.1)
