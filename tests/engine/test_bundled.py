"""The base model that comes with the product is what its file says, and it is unpacked in a moment."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models.bundled import BUNDLED
from engine.models.hashes import file_sha256
from tests.engine.llama_cpp import llama_cpp

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = (
    "Describe a waterproof jacket for hikers.",
    "Write one sentence about a tent for two people.",
    "What is the capital of France?",
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voicewright" / "models"


def start() -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "engine.models", "unpack"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)


def lines(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]


def test_the_file_is_the_one_that_its_card_names() -> None:
    assert file_sha256(BUNDLED.source) == BUNDLED.source_sha256
    assert BUNDLED.source_sha256 in (BUNDLED.source.parent / "README.md").read_text("utf-8")


def test_the_weights_are_those_of_the_file(bundled_model_folder: Path) -> None:
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors import safe_open

    stored = {tensor.name: tensor for tensor in GGUFReader(BUNDLED.source).tensors}

    def reference(name: str) -> torch.Tensor:
        numbers = dequantize(stored[name].data, stored[name].tensor_type)
        return torch.from_numpy(np.array(numbers)).to(torch.bfloat16)

    with safe_open(bundled_model_folder / "model.safetensors", "pt") as weights:
        assert len(weights.keys()) == len(stored) == 272
        same = {
            "token_embd.weight": "model.embed_tokens.weight",
            "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
            "blk.17.ffn_down.weight": "model.layers.17.mlp.down_proj.weight",
            "blk.29.attn_v.weight": "model.layers.29.self_attn.v_proj.weight",
        }
        for theirs, ours in same.items():
            assert torch.equal(weights.get_tensor(ours), reference(theirs))
        queries = reference("blk.4.attn_q.weight").view(9, 32, 2, 576).transpose(1, 2).reshape(576, 576)
        assert torch.equal(weights.get_tensor("model.layers.4.self_attn.q_proj.weight"), queries)


def test_transformers_opens_it_and_says_nothing(bundled_model_folder: Path) -> None:
    program = (
        "import sys, transformers as t; folder = sys.argv[1];"
        "t.utils.logging.disable_progress_bar();"
        "model = t.AutoModelForCausalLM.from_pretrained(folder); t.AutoTokenizer.from_pretrained(folder);"
        "assert str(model.dtype) == 'torch.bfloat16' and not hasattr(model.config, 'quantization_config')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundled_model_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_its_answers_begin_as_those_of_llama_cpp(bundled_model_folder: Path) -> None:
    """Over there activations are rounded to 8 bits, so log-probabilities differ by some hundredths."""
    import torch

    from engine.models.load import load_base, load_tokenizer

    tokenizer, model = load_tokenizer(bundled_model_folder), load_base(bundled_model_folder)
    differences = []
    with llama_cpp(BUNDLED.source) as judge, torch.no_grad():
        for prompt in PROMPTS:
            ids = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False
            )
            theirs = judge.greedy(ids, 8)
            scores = model(torch.tensor([ids + [token for token, _ in theirs]])).logits[0].log_softmax(-1)
            for place, (token, score) in enumerate(theirs, len(ids) - 1):
                differences.append(abs(float(scores[place, token]) - score))
                best = int(scores[place].argmax())
                assert best == token or scores[place, best] - scores[place, token] < 0.2
    assert sum(differences) / len(differences) < 0.06
    assert max(differences) < 0.4


def test_it_is_unpacked_once_and_says_how_far_it_is(cache: Path) -> None:
    first = start()
    said = lines(first)
    assert first.returncode == 0
    assert [line["done"] for line in said] == sorted(line["done"] for line in said)
    assert said[-1]["done"] == said[-1]["total"]
    assert len(said) > 20
    assert BUNDLED.is_intact()
    written = (BUNDLED.folder / "model.safetensors").stat().st_mtime_ns
    assert lines(start()) == []
    assert (BUNDLED.folder / "model.safetensors").stat().st_mtime_ns == written


def test_killed_amid_the_weights_it_is_made_again(cache: Path) -> None:
    process = start()
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert not BUNDLED.is_complete()
    BUNDLED.make(lambda done, total: None)
    assert BUNDLED.is_intact()
    assert [entry.name for entry in cache.iterdir() if entry.is_dir()] == [BUNDLED.folder.name]


@pytest.mark.slow
def test_it_takes_under_ten_seconds_and_little_memory(cache: Path) -> None:
    begin = time.monotonic()
    lines(start())
    assert time.monotonic() - begin < 10
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300_000
