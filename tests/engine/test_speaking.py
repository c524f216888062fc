"""What is feared of many answers at once: that one waits behind a long one, that what fails takes others
along, and that one given up goes on being computed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contract.records import AnswerEvent, MethodName
from engine.decode_batch import DecodeBatch
from engine.methods import get_method
from engine.speaking import Speaking
from engine.tuned_model import LoadedModels

Heard = dict[str, list[AnswerEvent]]


@pytest.fixture
def speaking() -> Speaking:
    return Speaking(LoadedModels())


@pytest.fixture
def ask(
    speaking: Speaking, artefact_of: Callable[[MethodName], Path], tiny_model_folder: Path
) -> Callable[..., None]:
    def ask(id: str, method: MethodName = "lora", max_tokens: int = 12, **question: Any) -> None:
        message = {
            "id": id,
            "base_folder": str(tiny_model_folder),
            "artefact_folder": str(artefact_of(method)),
            "is_adapter": get_method(method).IS_ADAPTER,
            "questions": question.get("questions") or [{"prompt": "Describe the tent.", **question}],
            "max_tokens": max_tokens,
            "temperature": 2.0,
            "seed": 0,
        }
        assert speaking.ask(message) == []

    return ask


def listen(speaking: Speaking, heard: Heard, rounds: int = 10_000) -> None:
    for _ in range(rounds):
        if speaking.is_silent:
            return
        for request_id, event in speaking.advance():
            heard.setdefault(request_id, []).append(event)


def is_complete(events: list[AnswerEvent]) -> bool:
    return {event.side for event in events if event.ended_by} == {"base", "tuned"}


@pytest.mark.parametrize("method", ["lora", "all-layers"])
def test_a_short_answer_asked_for_later_is_over_before_a_long_one(
    speaking: Speaking, ask: Callable[..., None], method: MethodName
) -> None:
    heard: Heard = {}
    ask("long", method, max_tokens=200)
    listen(speaking, heard, rounds=5)
    ask("short", method, max_tokens=3)
    listen(speaking, heard, rounds=2)
    assert is_complete(heard["short"])
    assert not is_complete(heard["long"])


def test_an_answer_given_up_is_said_to_be_done_and_the_other_goes_on(
    speaking: Speaking, ask: Callable[..., None]
) -> None:
    heard: Heard = {}
    ask("left", max_tokens=200)
    ask("stays")
    listen(speaking, heard, rounds=2)
    said = speaking.cancel("left")
    assert [(event.side, event.done, event.ended_by) for _, event in said] == [
        ("base", True, None),
        ("tuned", True, None),
    ]
    rows = [part.row for part in speaking._parts.values()]
    assert {part.request_id for part in speaking._parts.values()} == {"stays"}
    assert set(next(iter(speaking._parts.values())).together.rows) == set(rows)
    listen(speaking, heard)
    assert is_complete(heard["stays"])
    assert speaking.cancel("left") == []


def test_what_fails_takes_only_the_answers_of_its_pass_along(
    speaking: Speaking, ask: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Heard = {}
    ask("unlucky")
    ask("elsewhere", method="p-tuning")
    listen(speaking, heard, rounds=1)
    broken = next(part.together for part in speaking._parts.values() if part.request_id == "unlucky")
    advance = DecodeBatch.advance

    def fail(self: DecodeBatch) -> Any:
        if self is broken:
            raise MemoryError
        return advance(self)

    monkeypatch.setattr(DecodeBatch, "advance", fail)
    listen(speaking, heard)
    failure = heard["unlucky"][-1].failure
    assert failure
    assert failure.code == "out_of_memory"
    assert is_complete(heard["elsewhere"])


def test_who_fails_to_begin_leaves_those_who_speak_alone(
    speaking: Speaking, ask: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Heard = {}
    ask("first")
    listen(speaking, heard, rounds=1)
    with monkeypatch.context() as patch:
        patch.setattr(DecodeBatch, "_read_prompts", lambda *_: 1 / 0)
        ask("second")
        listen(speaking, heard, rounds=1)
    listen(speaking, heard)
    assert is_complete(heard["first"])
    assert [bool(event.failure) for event in heard["second"]] == [True]


def test_a_failure_on_one_side_ends_the_other_side_too(
    speaking: Speaking, ask: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Heard = {}
    ask("whole", method="all-layers")
    with monkeypatch.context() as patch:
        patch.setattr(DecodeBatch, "_read_prompts", lambda *_: 1 / 0)
        listen(speaking, heard, rounds=1)
    assert [bool(event.failure) for event in heard["whole"]] == [True]
    assert speaking.is_silent


def test_a_model_that_still_answers_is_not_let_go(speaking: Speaking, ask: Callable[..., None]) -> None:
    methods: tuple[MethodName, ...] = ("lora", "p-tuning", "last-layers", "all-layers")
    for method in methods:
        ask(method, method)
    assert len(speaking._models._kept) == 4
    heard: Heard = {}
    listen(speaking, heard)
    assert all(is_complete(heard[method]) for method in methods)
    ask("again", "lora")
    ask("another", "all-layers")
    assert len(speaking._models._kept) <= 4


def test_of_many_questions_each_event_says_which_it_belongs_to(
    speaking: Speaking, ask: Callable[..., None]
) -> None:
    few_shot = [{"role": "user", "text": "Describe the mug."}, {"role": "assistant", "text": "Ahoy!"}]
    ask(
        "many",
        questions=[
            {"prompt": "Describe the tent.", "sides": ["base", "tuned"]},
            {"prompt": "Describe the tent.", "turns": few_shot, "sides": ["base"]},
            {"prompt": "Describe the lamp.", "sides": ["tuned"]},
        ],
    )
    heard: Heard = {}
    listen(speaking, heard)
    ended = {(event.question, event.side) for event in heard["many"] if event.ended_by}
    assert ended == {(0, "base"), (0, "tuned"), (1, "base"), (2, "tuned")}


def test_when_memory_is_short_answers_come_one_after_another(
    speaking: Speaking, ask: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.decode_batch.CACHE_BYTES", 1)
    heard: Heard = {}
    for name in ("a", "b"):
        ask(name, max_tokens=3)
    listen(speaking, heard)
    assert all(is_complete(heard[name]) for name in ("a", "b"))
