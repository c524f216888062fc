"""What is feared of answers that share a pass: that one leaks into another, that an answer depends on what is
written beside it, that the base's rows are touched, and that memory stays behind.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache, MistralConfig, MistralForCausalLM

from engine.answer_batch import AnswerBatch, Row
from engine.contract.records import MethodName, Side, Turn
from engine.decode_batch import DecodeBatch
from engine.llama_decoder import LlamaDecoder, Tokens
from engine.methods import get_method
from engine.models.load import load_tokenizer
from engine.sampling import Decoding, Sampling
from engine.stock_model import StockModel
from engine.together import Together
from engine.tuned_model import TunedModel

SIDES: tuple[Side, ...] = ("base", "tuned")
CLOSE_TO_A_TIE = 1e-3
"""Logits of the tiny model differ by some 1e-5 between passes of different sizes."""
PROMPTS = ["Hi", "Describe the tent.", "Write three lines about a lamp for the shop, please.", "rope " * 12]


@pytest.fixture(params=["decoder", "stock"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to compute an answer: our own, and that of the libraries."""
    if request.param == "stock":
        monkeypatch.setattr("engine.tuned_model.open_decoder", lambda *_: None)
    return str(request.param)


@pytest.fixture
def model(
    backend: str, method_name: MethodName, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> TunedModel:
    return TunedModel(tiny_model_folder, artefact_of(method_name), get_method(method_name).IS_ADAPTER)


@pytest.fixture
def lora(backend: str, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path) -> TunedModel:
    return TunedModel(tiny_model_folder, artefact_of("lora"), is_adapter=True)


def start_all(model: TunedModel, sampling: Sampling, prompts: Sequence[str] = PROMPTS) -> list[Row]:
    # The longer the prompt, the shorter its answer: rows leave at different times.
    return [
        model.start(side, prompt, Sampling(sampling.max_tokens - 4 * place, sampling.temperature, place))
        for place, prompt in enumerate(prompts)
        for side in SIDES
    ]


def finish(model: TunedModel, arrivals: Sequence[Sequence[Row]]) -> None:
    """All to their end; each group joins two tokens after the one before it."""
    for group in arrivals:
        for together, rows in by_place(model, group).items():
            together.begin(rows)
        for _ in range(2):
            advance_all(model)
    while any(model.together(side).rows for side in SIDES):
        advance_all(model)


def by_place(model: TunedModel, rows: Sequence[Row]) -> dict[AnswerBatch, list[Row]]:
    places: dict[AnswerBatch, list[Row]] = {}
    for row in rows:
        places.setdefault(model.together(row.side), []).append(row)
    return places


def advance_all(model: TunedModel) -> None:
    for together in {model.together(side) for side in SIDES}:
        if together.rows:
            together.advance()


def alone(model: TunedModel, row: Row) -> Decoding:
    twin = Row(
        row.side,
        Decoding(
            **{
                name: getattr(row.decoding, name)
                for name in ("prompt_ids", "end_token_ids", "text", "sampling")
            }
        ),
    )
    together = model.backend.alone()
    together.begin([twin])
    while together.rows:
        together.advance()
    return twin.decoding


def assert_as_alone(model: TunedModel, rows: Sequence[Row]) -> None:
    for row in rows:
        expected = alone(model, row)
        if expected.margin > CLOSE_TO_A_TIE:
            assert row.decoding.token_ids == expected.token_ids
    assert sum(row.decoding.margin > CLOSE_TO_A_TIE for row in rows) > len(rows) / 2


def test_answers_that_join_and_leave_say_what_each_would_alone(model: TunedModel) -> None:
    rows = start_all(model, Sampling(max_tokens=24))
    finish(model, [rows[:3], rows[3:7], rows[7:]])
    assert_as_alone(model, rows)


def test_a_draw_depends_on_its_own_seed_and_not_on_its_neighbours(model: TunedModel) -> None:
    rows = start_all(model, Sampling(max_tokens=20, temperature=0.8))
    finish(model, [rows[:5], rows[5:]])
    for row in rows:
        assert row.decoding.token_ids == alone(model, row).token_ids


def test_only_what_shares_its_weights_shares_a_pass(
    model: TunedModel, method_name: MethodName, backend: str
) -> None:
    shared = model.together("base") is model.together("tuned")
    assert shared == (backend == "decoder" or method_name in ("lora", "p-tuning"))


@torch.inference_mode()
def test_base_rows_among_tuned_ones_have_the_very_logits_of_an_untouched_stock_model(
    artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> None:
    untouched = StockModel(tiny_model_folder, None, False, "cpu")
    lora = StockModel(tiny_model_folder, artefact_of("lora"), True, "cpu")
    sides: list[Side] = ["base", "base", "tuned", "tuned"]
    ours, theirs = DynamicCache(), DynamicCache()
    for columns in (7, 1, 1):
        embedded = torch.randn(4, columns, 64)
        mixed = lora.logits(sides, embedded, ours)
        plain = untouched.logits(["base"] * 4, embedded, theirs)
        assert torch.equal(mixed[:2], plain[:2])
        assert not torch.isclose(mixed[2:], plain[2:], atol=1e-2).all()


def test_after_a_shared_pass_each_side_is_itself_again(lora: TunedModel) -> None:
    sampling = Sampling(max_tokens=12)
    before = {side: lora.answer(side, PROMPTS[1], sampling)[0] for side in SIDES}
    finish(lora, [start_all(lora, Sampling(max_tokens=20))])
    assert {side: lora.answer(side, PROMPTS[1], sampling)[0] for side in SIDES} == before


# --- shared beginnings --------------------------------------------------------------------------------

FEW_SHOT = tuple(
    Turn(role=role, text=text)
    for text, answer in (("Describe the mug.", "Ahoy! A mug."), ("Describe the hat.", "Ahoy! A hat."))
    for role, text in (("user", text), ("assistant", answer))
)


def test_what_prompts_begin_with_alike_is_read_once_and_changes_no_answer(
    model: TunedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    logits, forward = StockModel.logits, LlamaDecoder.forward

    def count(self: StockModel, sides: Any, embedded: torch.Tensor, *rest: Any) -> torch.Tensor:
        read.append(embedded.shape[0] * embedded.shape[1])
        return logits(self, sides, embedded, *rest)

    def count_tokens(self: LlamaDecoder, tokens: Tokens) -> torch.Tensor:
        read.append(len(tokens.ids))
        return forward(self, tokens)

    monkeypatch.setattr(StockModel, "logits", count)
    monkeypatch.setattr(LlamaDecoder, "forward", count_tokens)
    rows = [
        model.start(side, prompt, Sampling(max_tokens=16), FEW_SHOT)
        for prompt in ("Hi", "Describe the tent.", "A lamp?", "Hi")
        for side in SIDES
    ]
    for together, some in by_place(model, rows).items():
        together.begin(some)
    given = sum(len(row.decoding.prompt_ids) for row in rows)
    assert sum(read) < given * 0.75
    finish(model, [])
    assert_as_alone(model, rows)


def test_base_prompts_with_and_without_examples_go_side_by_side(lora: TunedModel) -> None:
    rows = [
        lora.start(side, prompt, Sampling(max_tokens=16), turns)
        for prompt in PROMPTS[:3]
        for side, turns in (("base", ()), ("base", FEW_SHOT), ("tuned", ()))
    ]
    finish(lora, [rows])
    assert_as_alone(lora, rows)


def test_a_model_that_looks_back_only_so_far_answers_the_same_in_company(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    config = MistralConfig(
        vocab_size=262, hidden_size=64, intermediate_size=160, num_hidden_layers=3, sliding_window=12,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.1,
        bos_token_id=0, pad_token_id=1, eos_token_id=5,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path)
    load_tokenizer(tiny_model_folder).save_pretrained(tmp_path)
    model = TunedModel(tmp_path, None, is_adapter=False)
    rows = [
        model.start("base", prompt, Sampling(max_tokens=16), FEW_SHOT if place % 2 else ())
        for place, prompt in enumerate(PROMPTS)
    ]
    finish(model, [rows[:2], rows[2:]])
    assert_as_alone(model, rows)


# --- memory -------------------------------------------------------------------------------------------


def test_a_long_neighbour_that_leaves_takes_its_columns_with_it(
    artefact_of: Callable[[MethodName], Path],
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.tuned_model.open_decoder", lambda *_: None)
    lora = TunedModel(tiny_model_folder, artefact_of("lora"), is_adapter=True)
    together = lora.together("base")
    assert isinstance(together, Together)
    long, short = (lora.start("base", prompt, Sampling(max_tokens=30)) for prompt in ("word " * 30, "Hi"))
    together.begin([long, short])
    wide = together._batch.mask.shape[1]
    together.leave([long])
    assert together._batch.mask.shape[1] == len(short.decoding.prompt_ids) < wide
    assert together._batch.cache.get_seq_length() == len(short.decoding.prompt_ids)
    together.leave([short])
    assert together._batch.cache.get_seq_length() == 0


def test_answers_wait_for_room_but_a_single_one_never(
    lora: TunedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("together", "decode_batch"):
        monkeypatch.setattr(f"engine.{module}.CACHE_BYTES", 1)
    first, second = (lora.start("base", "Hi", Sampling(max_tokens=4)) for _ in range(2))
    together = lora.together("base")
    assert together.has_room_for([first])
    together.begin([first])
    assert not together.has_room_for([second])


def test_a_pass_that_fails_leaves_no_pages_behind(
    artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = TunedModel(tiny_model_folder, artefact_of("lora"), is_adapter=True)
    batch = lora.together("base")
    assert isinstance(batch, DecodeBatch)
    first = lora.start("base", "word " * 20, Sampling(max_tokens=12))
    second = lora.start("base", "word " * 20 + "again", Sampling(max_tokens=12))
    batch.begin([first])
    used = dict(batch._decoder.cache._uses)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(LlamaDecoder, "forward", lambda *_: 1 / 0)
        batch.begin([second])
    assert batch._decoder.cache._uses == used
    while batch.rows:
        batch.advance()
    assert first.decoding.token_ids == alone(lora, first).token_ids
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        batch.begin([second])
        patch.setattr(LlamaDecoder, "forward", lambda *_: 1 / 0)
        batch.advance()
    assert not batch.rows


def test_long_prompts_are_read_in_parts_and_answered_the_same(
    lora: TunedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = start_all(lora, Sampling(max_tokens=20))
    expected = [alone(lora, row) for row in rows]
    monkeypatch.setattr("engine.decode_batch.PASS_TOKENS", 25)
    finish(lora, [rows])
    for row, one in zip(rows, expected, strict=True):
        assert row.decoding.token_ids == one.token_ids or one.margin < CLOSE_TO_A_TIE
