"""What is feared of answers: that the base's side is not the base, that the tuned side is not what was tuned,
that a stream breaks characters, and that a damaged voice takes the process down or is believed.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import RepetitionPenaltyLogitsProcessor

from engine.contract.failures import EngineFailure
from engine.contract.records import MethodName
from engine.methods import get_method
from engine.models.load import load_base, load_tokenizer
from engine.sampling import Decoding, Sampling, TextStream, choose_token
from engine.tuned_model import LoadedModels, TunedModel

PROMPT = "Describe the tent."
GREEDY = Sampling(max_tokens=24)


def no_text() -> TextStream:
    class Silent:
        def decode(self, token_ids: list[int], **options: bool) -> str:
            return ""

    return TextStream(Silent())


@pytest.fixture
def model(
    method_name: MethodName, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> TunedModel:
    return TunedModel(tiny_model_folder, artefact_of(method_name), get_method(method_name).IS_ADAPTER)


def answer_ids(model: TunedModel, side: Any, sampling: Sampling = GREEDY) -> list[int]:
    return model.answer(side, PROMPT, sampling)[1].token_ids


def stock_answer_ids(model: Any, folder: Path) -> list[int]:
    inputs = load_tokenizer(folder).apply_chat_template(
        [{"role": "user", "content": PROMPT}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        output = model.eval().generate(**inputs, max_new_tokens=GREEDY.max_tokens, do_sample=False)
    ids: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
    return [token for token in ids if token != model.config.eos_token_id]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([1.05, 1.1, 1.5]))
def test_repetition_is_held_down_as_stock_generate_does_it(seed: int, penalty: float) -> None:
    logits = torch.randn(40, generator=torch.Generator().manual_seed(seed)) * 4
    decoding = Decoding([3, 5, 3], frozenset({99}), no_text(), GREEDY, repetition_penalty=penalty)
    decoding.token_ids = [7, 5]
    stock = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([[3, 5, 3, 7, 5]]), logits[None].clone())
    decoding.take(logits, seconds=0.0)
    assert decoding.token_ids[-1] == int(stock[0].argmax())
    best, second = stock[0].topk(2).values.tolist()
    assert decoding.margin == pytest.approx(best - second, rel=1e-5)


def test_answers_obey_the_repetition_penalty_of_the_base_models_settings(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "held-down")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"repetition_penalty": 1.3}))
    expected = stock_answer_ids(load_base(folder), folder)
    assert answer_ids(TunedModel(folder, None, False), "base") == expected
    assert expected != stock_answer_ids(load_base(tiny_model_folder), tiny_model_folder)


# --- whose answer it is -------------------------------------------------------------------------------


def test_the_base_side_answers_as_stock_transformers_do_with_the_untouched_model(
    model: TunedModel, tiny_model_folder: Path
) -> None:
    expected = stock_answer_ids(load_base(tiny_model_folder), tiny_model_folder)
    before = answer_ids(model, "base")
    tuned = answer_ids(model, "tuned")
    assert before == answer_ids(model, "base") == expected
    assert tuned != expected


def test_the_tuned_side_answers_as_stock_libraries_do_with_the_artefact(
    model: TunedModel,
    method_name: MethodName,
    artefact_of: Callable[[MethodName], Path],
    tiny_model_folder: Path,
) -> None:
    artefact = artefact_of(method_name)
    if get_method(method_name).IS_ADAPTER:
        stock = PeftModel.from_pretrained(load_base(tiny_model_folder), artefact)
    else:
        stock = load_base(artefact)
    assert answer_ids(model, "tuned") == stock_answer_ids(stock, tiny_model_folder)


def test_asking_for_a_voice_that_was_not_tuned_yet_is_refused(tiny_model_folder: Path) -> None:
    with pytest.raises(EngineFailure) as caught:
        answer_ids(TunedModel(tiny_model_folder, None, is_adapter=True), "tuned")
    assert caught.value.failure.code == "conflict"


# --- how it is drawn and written ----------------------------------------------------------------------


def test_a_seed_gives_its_answer_again_and_another_seed_another(
    artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> None:
    model = TunedModel(tiny_model_folder, artefact_of("lora"), is_adapter=True)
    first, again, other = (
        answer_ids(model, "tuned", Sampling(24, temperature=1.5, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_unlikely_tokens_are_never_drawn() -> None:
    logits = torch.tensor([0.60, 0.36, 0.04]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = {choose_token(logits, Sampling(1, temperature=1.0), generator) for _ in range(300)}
    assert drawn == {0, 1}


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_piece_of_a_stream_ends_inside_a_character(byte_tokenizer: Any, text: str) -> None:
    text = text.replace("\ufffd", "")
    ids = byte_tokenizer(text, add_special_tokens=False)["input_ids"]
    stream = TextStream(byte_tokenizer)
    pieces = [stream.read_new(ids[: count + 1]) for count in range(len(ids))]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) == text


@pytest.fixture(scope="module")
def byte_tokenizer(tiny_model_folder: Path) -> Any:
    return load_tokenizer(tiny_model_folder)


def test_a_character_that_the_length_cuts_in_half_is_left_out(byte_tokenizer: Any) -> None:
    ids = byte_tokenizer("ja 👋", add_special_tokens=False)["input_ids"]
    stream = TextStream(byte_tokenizer)
    assert [stream.read_new(ids[:count]) for count in (3, 5, 6)] == ["ja ", "", ""]
    assert stream.read_new(ids) == "👋"


def test_a_long_prompt_leaves_room_for_an_answer(tiny_model_folder: Path) -> None:
    model = TunedModel(tiny_model_folder, None, is_adapter=False)
    row = model.start("base", "word " * 1_600, Sampling(max_tokens=512))
    assert row.decoding.sampling.max_tokens == model.window_tokens // 4
    assert len(row.decoding.prompt_ids) + row.decoding.sampling.max_tokens == model.window_tokens
    model.answer("base", "word " * 1_600, Sampling(max_tokens=512))


def test_an_answer_never_outgrows_the_window(tiny_model_folder: Path) -> None:
    model = TunedModel(tiny_model_folder, None, is_adapter=False)
    decoding = model.start("base", PROMPT, Sampling(max_tokens=512)).decoding
    assert len(decoding.prompt_ids) + decoding.sampling.max_tokens == model.window_tokens


# --- damaged voices -----------------------------------------------------------------------------------


@pytest.fixture
def lora_artefact(artefact_of: Callable[[MethodName], Path], tmp_path: Path) -> Path:
    """A copy to be damaged."""
    folder = tmp_path / "artefact"
    folder.mkdir()
    for file in artefact_of("lora").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def set_config(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")


def set_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = folder / "adapter_model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in change(load_file(file)).items()}, file)


def cut(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "weights cut off": cut,
    "header longer than the file": lambda folder: (folder / "adapter_model.safetensors").write_bytes(
        b"\xff" * 8 + b"{}"
    ),
    "empty weights": lambda folder: (folder / "adapter_model.safetensors").write_bytes(b""),
    "no weights": lambda folder: (folder / "adapter_model.safetensors").unlink(),
    "no numbers": lambda folder: set_weights(
        folder, lambda all_: {name: tensor * float("nan") for name, tensor in all_.items()}
    ),
    "other shapes": lambda folder: set_weights(
        folder, lambda all_: {name: tensor[:, :-1] for name, tensor in all_.items()}
    ),
    "half of the tensors": lambda folder: set_weights(folder, lambda all_: dict(list(all_.items())[::2])),
    "configuration is no JSON": lambda folder: (folder / "adapter_config.json").write_text("{"),
    "configuration is a list": lambda folder: (folder / "adapter_config.json").write_text("[]"),
    "unknown kind": lambda folder: set_config(folder, peft_type="IA3"),
    "a module to import": lambda folder: set_config(folder, auto_mapping={"parent_library": "antigravity"}),
    "another module to import": lambda folder: set_config(folder, megatron_core="antigravity"),
    "a file to unpickle": lambda folder: set_config(folder, init_lora_weights="corda"),
    "a key of the future": lambda folder: set_config(folder, run_this="rm"),
    "a pickle beside": lambda folder: (folder / "adapter_model.bin").write_bytes(b"x"),
    "program code beside": lambda folder: (folder / "model.py").write_text("print()"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_voice_is_refused_before_it_is_believed(
    damage: str, lora_artefact: Path, tiny_model_folder: Path
) -> None:
    DAMAGES[damage](lora_artefact)
    with pytest.raises(EngineFailure) as caught:
        TunedModel(tiny_model_folder, lora_artefact, is_adapter=True)
    assert caught.value.failure.code == "artefact_damaged"
    assert str(lora_artefact) not in caught.value.failure.sentence


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_model.bin"])
def test_nothing_is_ever_unpickled(
    name: str, lora_artefact: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    (lora_artefact / "adapter_model.safetensors").unlink()
    (lora_artefact / name).write_bytes(pickle.dumps(Canary(tmp_path / "sang")))
    with pytest.raises(EngineFailure):
        TunedModel(tiny_model_folder, lora_artefact, is_adapter=True)
    assert not (tmp_path / "sang").exists()


def test_a_voice_that_was_tuned_again_is_loaded_again(lora_artefact: Path, tiny_model_folder: Path) -> None:
    models = LoadedModels()
    first = models.get(tiny_model_folder, lora_artefact, True)
    assert models.get(tiny_model_folder, lora_artefact, True) is first
    set_weights(lora_artefact, lambda all_: {name: tensor * 2 for name, tensor in all_.items()})
    second = models.get(tiny_model_folder, lora_artefact, True)
    assert answer_ids(second, "tuned") != answer_ids(first, "tuned")


def test_only_a_few_models_stay_in_memory(
    artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> None:
    models = LoadedModels()
    names: tuple[MethodName, ...] = ("lora", "p-tuning", "last-layers", "all-layers")
    for name in names:
        models.get(tiny_model_folder, artefact_of(name), get_method(name).IS_ADAPTER)
    assert len(models._kept) == 3


# --- the process --------------------------------------------------------------------------------------


class Generator:
    """The generator as the supervisor sees it: lines in, lines out."""

    def __init__(self, base: Path, log: Path) -> None:
        self._base = base
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.generation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        )

    def say(self, **message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def ask(self, artefact: Path | None, **changes: Any) -> None:
        question: dict[str, Any] = {
            "id": "1",
            "base_folder": str(self._base),
            "artefact_folder": artefact and str(artefact),
            "is_adapter": True,
            "questions": [{"prompt": PROMPT}],
            "max_tokens": 12,
            "temperature": 0.0,
            "seed": 0,
        }
        self.say(**(question | changes))

    def events(self, *before: dict[str, Any]) -> list[dict[str, Any]]:
        """All lines of an answer to its end; `before` were heard already."""
        heard = list(before)
        while not any(line["event"].get("failure") for line in heard) and (
            sum(line["event"].get("done", False) for line in heard) < 2
        ):
            heard.append(self.hear())
        return heard


@pytest.fixture(scope="module")
def generator(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    running = Generator(tiny_model_folder, tmp_path_factory.mktemp("log") / "generator.log")
    assert running.hear() == {"ready": True}
    yield running
    assert running.process.stdin
    running.process.stdin.close()
    assert running.process.wait(timeout=10) == 0


def test_both_sides_stream_side_by_side_as_the_models_answer(
    generator: Generator, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> None:
    generator.ask(artefact_of("lora"))
    heard = generator.events()
    assert {line["id"] for line in heard} == {"1"}
    model = TunedModel(tiny_model_folder, artefact_of("lora"), is_adapter=True)
    for side in ("base", "tuned"):
        events = [line["event"] for line in heard if line["event"]["side"] == side]
        expected, decoding = model.answer(side, PROMPT, Sampling(max_tokens=12))
        assert "".join(event["text"] for event in events) == expected
        assert events[-1]["done"]
        assert events[-1]["ended_by"] in ("end", "length")
        assert events[-1]["tokens"] == len(decoding.token_ids)


def test_the_first_word_comes_within_half_a_second_once_loaded(
    generator: Generator, artefact_of: Callable[[MethodName], Path]
) -> None:
    generator.ask(artefact_of("lora"))
    generator.events()
    started = time.monotonic()
    generator.ask(artefact_of("lora"), id="2")
    first = generator.hear()
    waited = time.monotonic() - started
    generator.events(first)
    assert waited < 0.5


def test_an_answer_given_up_ends_soon_and_the_next_one_is_whole(
    generator: Generator, artefact_of: Callable[[MethodName], Path]
) -> None:
    generator.ask(artefact_of("lora"), id="long", max_tokens=200, temperature=2.0)
    first = generator.hear()
    generator.say(cancel="long")
    events = [line["event"] for line in generator.events(first)]
    assert any(event.get("done") and "ended_by" not in event for event in events)
    generator.ask(artefact_of("lora"), id="next")
    assert {line["id"] for line in generator.events()} == {"next"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"temperature": -1}, "bad_request"),
        ({"chat_template": "{{ 1 }}"}, "bad_request"),
        ({"questions": [{"prompt": ["no", "text"]}]}, "bad_request"),
        ({"questions": []}, "bad_request"),
        ({"artefact_folder": "/nowhere/at/all"}, "artefact_damaged"),
        ({"base_folder": "/nowhere/at/all"}, "model_unusable"),
        ({"artefact_folder": None}, "conflict"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence_and_the_process_lives_on(
    changes: dict[str, Any], code: str, generator: Generator, artefact_of: Callable[[MethodName], Path]
) -> None:
    generator.ask(artefact_of("lora"), **changes)
    last = generator.events()[-1]["event"]
    assert last["failure"]["code"] == code
    assert "/nowhere" not in last["failure"]["what_happened"]
    generator.say(nonsense=True)
    assert generator.events()[-1]["event"]["failure"]["code"] == "bad_request"
    generator.ask(artefact_of("lora"), id="after")
    assert all("failure" not in line["event"] for line in generator.events())


def test_the_generator_leaves_when_the_supervisor_is_gone(
    tiny_model_folder: Path, artefact_of: Callable[[MethodName], Path], tmp_path: Path
) -> None:
    alone = Generator(tiny_model_folder, tmp_path / "generator.log")
    assert alone.hear() == {"ready": True}
    alone.ask(artefact_of("lora"), max_tokens=200, temperature=2.0)
    assert alone.process.stdin
    alone.process.stdin.close()
    assert alone.process.wait(timeout=5) == 0
