"""Answers as a stream: both sides to their end, side by side, refused when too many wait, and never lost
quietly.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest


@pytest.fixture
def engine(finished_run: tuple[Any, str]) -> Any:
    return finished_run[0]


@pytest.fixture
def question(finished_run: tuple[Any, str]) -> dict[str, Any]:
    return {"run_id": finished_run[1], "prompt": "Describe the tent.", "max_tokens": 12, "temperature": 1}


def read_events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def ask(engine: Any, question: dict[str, Any], path: str = "/answers") -> list[dict[str, Any]]:
    with engine.client as client, client.stream("POST", path, json=question) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(read_events(answer.iter_lines()))


def text_of(events: list[dict[str, Any]], side: str) -> str:
    return "".join(event.get("text", "") for event in events if event.get("side") == side)


def is_complete(events: list[dict[str, Any]]) -> bool:
    return {event["side"] for event in events if event.get("ended_by")} == {"base", "tuned"}


def wait_until(happens: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_both_sides_are_answered_to_their_end_and_the_same_twice(
    engine: Any, question: dict[str, Any]
) -> None:
    first, again = ask(engine, question), ask(engine, question)
    assert first[0] == {"waiting": 0}
    assert is_complete(first)
    for side in ("base", "tuned"):
        assert text_of(first, side) == text_of(again, side)
    assert len(engine.generators()) == 1


def test_a_short_answer_does_not_wait_for_a_long_one_to_end(engine: Any, question: dict[str, Any]) -> None:
    ask(engine, question)
    long = {**question, "max_tokens": 200, "temperature": 2}
    with engine.client as client, client.stream("POST", "/answers", json=long) as answer:
        lines = read_events(answer.iter_lines())
        next(event for event in lines if event.get("side"))
        short = ask(engine, {**question, "max_tokens": 2})
        assert is_complete(short)
        assert all(event.get("waiting", 0) == 0 for event in short)
        assert any(event.get("side") for event in lines)


def test_a_chat_is_asked_with_what_was_said_before(engine: Any, question: dict[str, Any]) -> None:
    greedy = {**question, "temperature": 0}
    turns = [{"role": "user", "text": "Describe the mug."}, {"role": "assistant", "text": "Ahoy! " * 4}]
    first, later = ask(engine, greedy), ask(engine, {**greedy, "turns": turns})
    assert is_complete(later)
    assert text_of(first, "base") != text_of(later, "base")


def test_many_questions_get_the_answers_that_each_would_get_alone(
    engine: Any, question: dict[str, Any]
) -> None:
    prompts = ["Describe the tent.", "Describe the lamp.", "Hi"]
    alone = [ask(engine, {**question, "prompt": prompt}) for prompt in prompts]
    whom = {name: question[name] for name in ("run_id", "max_tokens", "temperature")}
    many = ask(engine, {**whom, "questions": [{"prompt": prompt} for prompt in prompts]}, "/answers/many")
    for place, expected in enumerate(alone):
        its = [event for event in many if event.get("question") == place]
        assert is_complete(its)
        for side in ("base", "tuned"):
            assert text_of(its, side) == text_of(expected, side)


def test_a_reader_that_leaves_frees_its_place_for_the_next(engine: Any, question: dict[str, Any]) -> None:
    ask(engine, question)
    endless = {**question, "max_tokens": 512, "temperature": 2}
    with engine.client as client, client.stream("POST", "/answers", json=endless) as answer:
        next(event for event in read_events(answer.iter_lines()) if event.get("side"))
    begun = time.monotonic()
    assert is_complete(ask(engine, question))
    assert time.monotonic() - begun < 3


def test_a_generator_that_dies_is_told_of_and_replaced(engine: Any, question: dict[str, Any]) -> None:
    ask(engine, question)
    (generator,) = engine.generators()
    generator.suspend()
    with engine.client as client, client.stream("POST", "/answers", json=question) as answer:
        lines = read_events(answer.iter_lines())
        assert next(lines) == {"waiting": 0}
        generator.kill()
        events = list(lines)
    assert events[-1]["failure"]["code"] == "unexpected"
    assert "Ask once more" in events[-1]["failure"]["what_to_do"]
    psutil.wait_procs([generator], timeout=5)
    assert is_complete(ask(engine, question))
    assert engine.generators() != [generator]


def test_eight_are_answered_eight_wait_with_their_place_and_more_are_refused(
    engine: Any, question: dict[str, Any]
) -> None:
    ask(engine, question)
    (generator,) = engine.generators()
    generator.suspend()
    answers: list[list[dict[str, Any]]] = [[] for _ in range(16)]

    def ask_into(events: list[dict[str, Any]]) -> None:
        with engine.client as client, client.stream("POST", "/answers", json=question) as answer:
            for event in read_events(answer.iter_lines()):
                events.append(event)

    threads = [threading.Thread(target=ask_into, args=(events,)) for events in answers]
    for thread in threads:
        thread.start()
    try:
        # Each is told its place as soon as it has one; a seventeenth that came earlier would take somebody's.
        wait_until(lambda: all(answers))
        with engine.client as client:
            refused = client.post("/answers", json=question)
    finally:
        generator.resume()
    assert (refused.status_code, refused.json()["failure"]["code"]) == (429, "busy")
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(events[0]["waiting"] for events in answers) == [*[0] * 8, *range(1, 9)]
    assert all(is_complete(events) for events in answers)
    # Whoever waited was told of each step forward.
    for events in answers:
        places = [event["waiting"] for event in events if "waiting" in event]
        assert places == sorted(places, reverse=True)
        assert places[-1] == 0


def test_other_requests_are_served_while_an_answer_hangs(engine: Any, question: dict[str, Any]) -> None:
    ask(engine, question)
    (generator,) = engine.generators()
    generator.suspend()
    with engine.client as client, client.stream("POST", "/answers", json=question):
        begun = time.monotonic()
        engine.ask("GET", "/projects")
        assert time.monotonic() - begun < 1
    generator.resume()
    assert is_complete(ask(engine, question))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ""},
        {"prompt": "x" * 8001},
        {"chat_template": "{{ 1 }}"},
        {"max_tokens": 100_000},
        {"sides": []},
        {"temperature": 99},
        {"prompt": ["no", "text"]},
    ],
)
def test_what_is_no_plain_question_is_refused(
    engine: Any, question: dict[str, Any], change: dict[str, Any]
) -> None:
    failure = engine.ask("POST", "/answers", {**question, **change}, status=422)["failure"]
    assert failure["code"] == "bad_request"


def test_a_run_that_has_learnt_nothing_yet_cannot_answer(engine: Any, question: dict[str, Any]) -> None:
    finished = engine.run(question["run_id"])
    run_id = engine.new_run(finished["dataset_id"], epochs=3)
    engine.want(run_id, "cancel")
    failure = engine.ask("POST", "/answers", {**question, "run_id": run_id}, status=409)["failure"]
    assert failure["code"] == "conflict"
    engine.ask("POST", "/answers", {**question, "run_id": "0" * 32}, status=404)
