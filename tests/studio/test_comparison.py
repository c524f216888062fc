"""Prompts to compare on are held out, different, and the same each time."""

from engine.contract.records import AnswerRequest, Example
from studio.comparison import CREATIVITY, DEFAULT_CREATIVITY, DEFAULT_LENGTH, LENGTH, as_turns, pick_prompts


def example(prompt: str, held_out: bool = True) -> Example:
    return Example(prompt=prompt, completion="text", split="validation" if held_out else "train")


def test_prompts_are_held_out_and_range_from_short_to_long() -> None:
    held_out = [example("p" * length) for length in range(1, 31)]
    learnt = [example("q" * length, held_out=False) for length in range(1, 300)]
    picked = pick_prompts([*learnt, *held_out], 3)
    assert all(pick.split == "validation" for pick in picked)
    assert [len(pick.prompt) for pick in picked] == [6, 16, 26]


def test_the_order_of_the_table_changes_nothing() -> None:
    held_out = [example(f"Describe tent {number}") for number in range(20)]
    assert pick_prompts(held_out) == pick_prompts(held_out[::-1])


def test_the_same_prompt_is_not_picked_twice() -> None:
    assert len(pick_prompts([example("Write in our voice."), example("write in  our voice.")])) == 1


def test_without_held_out_examples_others_stand_in() -> None:
    assert pick_prompts([example("a", held_out=False)]) == [example("a", held_out=False)]
    assert pick_prompts([]) == []


def test_every_choice_is_an_allowed_answer() -> None:
    for creativity in CREATIVITY:
        for length in LENGTH:
            AnswerRequest(run_id="0" * 32, prompt="?", temperature=creativity.value, max_tokens=length.value)
    assert DEFAULT_CREATIVITY.value == AnswerRequest.model_fields["temperature"].default
    assert DEFAULT_LENGTH.value == AnswerRequest.model_fields["max_tokens"].default


def test_examples_shown_to_a_model_are_turns_in_their_order() -> None:
    shown = as_turns([Example(prompt="A?", completion="a"), Example(prompt="B?", completion="b")])
    assert [(turn.role, turn.text) for turn in shown] == [
        ("user", "A?"),
        ("assistant", "a"),
        ("user", "B?"),
        ("assistant", "b"),
    ]
