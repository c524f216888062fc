"""What is feared of our own decoder: that its numbers are others than those of the stock libraries, for any
method, head, number of heads or length of prompt.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel

from engine.contract.records import MethodName, Side
from engine.decode_batch import CACHE_BYTES
from engine.kv_cache import PAGE, Text
from engine.llama_decoder import LlamaDecoder, Tokens
from engine.llama_weights import Tuning, read_llama, read_tuning
from engine.methods import get_method
from engine.models.load import load_base, load_tokenizer
from engine.sampling import Sampling
from engine.tuned_model import TunedModel
from tests.base_models import SMALL_MODEL
from tests.engine.conftest import make_tiny_model

SIDES: tuple[Side, ...] = ("base", "tuned")
CLOSE = 2e-4
"""Of logits up to some 10: what another order of adding may change."""
LENGTHS = (3, PAGE, 2 * PAGE + 5, 70)


def open_decoder(base: Path, artefact: Path | None = None, is_adapter: bool = True) -> LlamaDecoder:
    weights = read_llama(base)
    assert weights
    tuning = read_tuning(artefact, is_adapter, weights) if artefact else Tuning()
    assert tuning
    return LlamaDecoder(weights, tuning, CACHE_BYTES)


def random_texts(vocabulary: int, lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in lengths]


@torch.inference_mode()
def run(decoder: LlamaDecoder, rows: Sequence[tuple[Side, Text]], counts: Sequence[int]) -> torch.Tensor:
    """Logits after each text, of which so many last positions are read in one pass."""
    places = [
        (number, position)
        for number, ((_, text), count) in enumerate(zip(rows, counts, strict=True))
        for position in range(len(text.ids) - count, len(text.ids))
    ]
    return decoder.forward(
        Tokens(
            ids=np.array([rows[number][1].ids[position] for number, position in places], np.int64),
            texts=[text for _, text in rows],
            text_of=np.array([number for number, _ in places], np.int32),
            position_of=np.array([position for _, position in places], np.int32),
            first_tuned=sum(rows[number][0] == "base" for number, _ in places),
            wanted=[index for index, (number, position) in enumerate(places)
                    if position == len(rows[number][1].ids) - 1],
        )
    )  # fmt: skip


def both_sides(decoder: LlamaDecoder, texts: Sequence[Sequence[int]]) -> list[tuple[Side, Text]]:
    virtual = [] if decoder.virtual is None else [-1 - number for number in range(len(decoder.virtual))]
    return [("base", decoder.cache.begin("base", ids)) for ids in texts] + [
        ("tuned", decoder.cache.begin("tuned", [*virtual, *ids])) for ids in texts
    ]


def read_and_add(decoder: LlamaDecoder, rows: list[tuple[Side, Text]], added: int = 3) -> torch.Tensor:
    """Logits after the prompts, and after each of so many more tokens: (1 + added, rows, vocabulary)."""
    found = [run(decoder, rows, [len(text.ids) - text.shared for _, text in rows])]
    for number in range(added):
        for _, text in rows:
            text.ids.append(7 + number)
            decoder.cache.reserve(text, len(text.ids))
        found.append(run(decoder, rows, [1] * len(rows)))
    return torch.stack(found)


@torch.inference_mode()
def stock_logits(model: Any, ids: Sequence[int], added: int = 3) -> torch.Tensor:
    whole = [*ids, *(7 + number for number in range(added))]
    logits: torch.Tensor = model.eval()(input_ids=torch.tensor([whole])).logits[0]
    return logits[-added - 1 :]


def open_stock(base: Path, artefact: Path, name: MethodName) -> Any:
    if get_method(name).IS_ADAPTER:
        return PeftModel.from_pretrained(load_base(base), artefact)
    return load_base(artefact)


def assert_as_stock(decoder: LlamaDecoder, base: Any, tuned: Any, texts: list[list[int]]) -> None:
    for some in (texts, texts[:1]):
        rows = both_sides(decoder, some)
        ours = read_and_add(decoder, rows)
        for number, ids in enumerate(some):
            theirs = stock_logits(base, ids)
            assert (ours[:, number] - theirs).abs().max() < CLOSE
            its = stock_logits(tuned, ids)
            assert (ours[:, len(some) + number] - its).abs().max() < CLOSE
            assert (its - theirs).abs().max() > 100 * CLOSE
        for _, text in rows:
            decoder.cache.end(text)


def test_logits_of_both_sides_are_those_of_the_stock_libraries(
    method_name: MethodName, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> None:
    artefact = artefact_of(method_name)
    decoder = open_decoder(tiny_model_folder, artefact, get_method(method_name).IS_ADAPTER)
    tuned = open_stock(tiny_model_folder, artefact, method_name)
    assert_as_stock(decoder, load_base(tiny_model_folder), tuned, random_texts(262))


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": False},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"head_dim": 32},
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500_000.0}},
    ],
    ids=["untied head", "a key for each query", "one key for all", "wide heads", "stretched positions"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_shapes_and_formats_of_a_llama_decode_as_stock(
    changes: dict[str, Any],
    dtype: torch.dtype,
    chance: Callable[[MethodName, Path, Path], Path],
    tmp_path: Path,
) -> None:
    folder = make_tiny_model(tmp_path / "base", **changes)
    load_base(folder).to(dtype).save_pretrained(folder)
    artefact = chance("lora", folder, tmp_path / "artefact")
    decoder = open_decoder(folder, artefact)
    assert decoder._layers.table.is_brief.all() == (dtype == torch.bfloat16)
    assert_as_stock(decoder, load_base(folder), open_stock(folder, artefact, "lora"), random_texts(262))


@pytest.mark.parametrize("method", ["lora", "last-layers"])
def test_a_real_model_decodes_as_stock(
    method: MethodName, chance: Callable[[MethodName, Path, Path], Path], tmp_path: Path
) -> None:
    artefact = chance(method, SMALL_MODEL, tmp_path / "artefact")
    decoder = open_decoder(SMALL_MODEL, artefact)
    tuned = open_stock(SMALL_MODEL, artefact, method)
    assert_as_stock(decoder, load_base(SMALL_MODEL), tuned, random_texts(1_000, lengths=(40, 200)))


def test_what_is_not_exactly_ours_is_left_to_the_libraries(
    artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path, tmp_path: Path
) -> None:
    base = read_llama(tiny_model_folder)
    assert base
    lora = artefact_of("lora")
    for file in lora.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = (lora / "adapter_config.json").read_text("utf-8")
    for old, new in (
        ('"use_rslora": false', '"use_rslora": true'),
        ('"bias": "none"', '"bias": "all"'),
        ('"rank_pattern": {}', '"rank_pattern": {"q_proj": 2}'),
        ('"r": 16', '"r": 8'),
    ):
        assert old in config
        (tmp_path / "adapter_config.json").write_text(config.replace(old, new), "utf-8")
        assert read_tuning(tmp_path, True, base) is None
    (tmp_path / "adapter_config.json").write_text(config, "utf-8")
    assert read_tuning(tmp_path, True, base)
    assert read_tuning(SMALL_MODEL, False, base) is None


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_bundled_model_answers_as_the_stock_one_does(
    method_name: MethodName,
    chance: Callable[[MethodName, Path, Path], Path],
    bundled_model_folder: Path,
    tmp_path: Path,
) -> None:
    artefact = chance(method_name, bundled_model_folder, tmp_path / "artefact")
    model = TunedModel(bundled_model_folder, artefact, get_method(method_name).IS_ADAPTER)
    prompts = ["Describe our rain jacket for the shop.", "Why is the sky blue?", "Name three uses of a rope."]
    answers = model.answer_all([(side, prompt) for prompt in prompts for side in SIDES], Sampling(24))
    stock = load_base(bundled_model_folder)
    for prompt, (_, decoding) in zip(prompts, answers[::2], strict=True):
        expected = stock_answer_ids(stock, bundled_model_folder, prompt, 24)
        assert decoding.token_ids == expected or decoding.margin < CLOSE, prompt


def stock_answer_ids(model: Any, folder: Path, prompt: str, tokens: int) -> list[int]:
    inputs = load_tokenizer(folder).apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        output = model.eval().generate(**inputs, max_new_tokens=tokens, do_sample=False)
    ids: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
    return [token for token in ids if token != model.config.eos_token_id]
