"""Every notation for examples is read as it is meant; a damaged line costs only itself."""

import json

import pytest
from pydantic import JsonValue

from engine.contract.failures import EngineFailure
from engine.contract.records import MAX_EXAMPLES, Turn
from studio.columns import suggest_columns
from studio.examples import build_examples
from studio.files import read_file
from studio.table import Table


def read(*entries: JsonValue, name: str = "voice.jsonl") -> Table:
    return read_file("\n".join(json.dumps(entry) for entry in entries).encode(), name)


def kinds(table: Table) -> dict[str, list[int]]:
    return {finding.kind: finding.rows for finding in table.findings}


def chat(*turns: tuple[str, JsonValue]) -> list[JsonValue]:
    return [{"role": role, "content": content} for role, content in turns]


ONCE: list[tuple[str, str, dict[str, JsonValue]]] = [
    ("Ask", "Answer", {"prompt": "Ask", "completion": "Answer"}),
    ("Ask", "Answer", {"question": "Ask", "answer": "Answer", "id": 7}),
    ("Ask", "Answer", {"instruction": "Ask", "input": "", "output": "Answer"}),
    ("Ask\n\nthis", "Answer", {"instruction": "Ask", "input": "this", "output": "Answer"}),
    ("Ask", "Answer", {"messages": chat(("user", "Ask"), ("assistant", "Answer"))}),
    ("Ask", "Answer", {"prompt": chat(("user", "Ask")), "completion": chat(("assistant", "Answer"))}),
    (
        "Ask",
        "Answer",
        {"messages": chat(("user", [{"type": "text", "text": "Ask"}]), ("assistant", "Answer"))},
    ),
    (
        "Ask",
        "Answer",
        {"id": "x", "conversations": [{"from": "human", "value": "Ask"}, {"from": "gpt", "value": "Answer"}]},
    ),
    (
        "Ask",
        "Answer",
        {"conversation": [{"from": "Customer", "text": "Ask"}, {"from": "Agent", "text": "Answer"}]},
    ),
    # A data set that keeps the first prompt beside its messages, as UltraChat does.
    ("Ask", "Answer", {"prompt": "first", "messages": chat(("user", "Ask"), ("assistant", "Answer"))}),
]


@pytest.mark.parametrize(("prompt", "completion", "entry"), ONCE)
def test_each_notation_is_read_as_it_is_meant(
    prompt: str, completion: str, entry: dict[str, JsonValue]
) -> None:
    table = read(*[{**entry, "number": number} for number in range(12)])
    examples, _ = build_examples(table, suggest_columns(table).columns)
    assert table.kind == "json-lines"
    assert {(example.prompt, example.completion, tuple(example.turns)) for example in examples} == {
        (prompt, completion, ())
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "1"}\n{"a": "2"}\n',
        '{"a": "1"}\r\n\r\n{"a": "2"}\r\n',
        '{"a": "1"}\r{"a": "2"}',
        '[{"a": "1"}, {"a": "2"}]',
        '[\n  {\n    "a": "1"\n  },\n  {\n    "a": "2"\n  }\n]\n',
        '[\n{"a": "1"},\n{"a": "2"},\n]\n',
        '[\n{"a": "1"}\n{"a": "2"}\n]\n',
        '{"version": 1, "data": [{"a": "1"}, {"a": "2"}]}',
        '{\n "a": "1"\n}\n{\n "a": "2"\n}\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_entries_are_found_however_they_are_strung_together(text: str, encoding: str) -> None:
    table = read_file(text.encode(encoding), "voice.csv")
    assert (table.columns, table.column("a")) == (("a",), ["1", "2"])


def test_a_conversation_keeps_its_turns_and_teaches_its_last_answer() -> None:
    table = read(
        {
            "messages": chat(
                ("system", "Be kind."),
                ("user", "Hi"),
                ("assistant", "Hello!"),
                ("user", "Open on Sunday?"),
                ("assistant", "From ten."),
                ("user", "Thanks"),
            )
        }
    )
    row = table.rows[0]
    assert dict(zip(table.columns, row.cells, strict=True)) == {
        "prompt": "Open on Sunday?",
        "completion": "From ten.",
    }
    assert row.turns == (
        Turn(role="system", text="Be kind."),
        Turn(role="user", text="Hi"),
        Turn(role="assistant", text="Hello!"),
    )
    assert kinds(table) == {"last-answer": [1], "after-answer": [1]}


def test_a_system_text_beside_the_messages_comes_first() -> None:
    table = read({"system": "Be kind.", "messages": chat(("user", "Hi"), ("assistant", "Hello!"))})
    assert table.rows[0].turns == (Turn(role="system", text="Be kind."),)


def test_several_messages_of_one_speaker_become_one_and_it_is_said() -> None:
    table = read(
        {
            "messages": chat(
                ("user", "Hi"), ("user", "Open?"), ("assistant", "Yes."), ("assistant", "Do come.")
            )
        }
    )
    assert table.rows[0].cells == ("Hi\n\nOpen?", "Yes.\n\nDo come.")
    assert kinds(table) == {"joined-messages": [1]}


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        ("not-only-text", chat(("user", [{"type": "image_url", "image_url": {}}]), ("assistant", "Nice."))),
        ("not-only-text", chat(("user", "Hi"), ("tool", "42"), ("assistant", "It is 42."))),
        (
            "not-only-text",
            [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            ],
        ),
        ("no-answer", chat(("user", "Hi"), ("user", "Anyone?"))),
        ("no-answer", chat(("user", "Hi"), ("assistant", ""))),
        ("no-answer", []),
    ],
)
def test_a_conversation_that_makes_no_example_is_left_out_and_named(
    kind: str, messages: list[JsonValue]
) -> None:
    fine: JsonValue = {"messages": chat(("user", "Hi"), ("assistant", "Hello!"))}
    table = read(fine, {"messages": messages}, fine)
    assert [row.number for row in table.rows] == [1, 3]
    assert kinds(table) == {kind: [2]}


def test_a_broken_line_is_named_and_costs_only_itself() -> None:
    lines = [
        '{"prompt": "a", "completion": "b"}',
        '{"prompt": "c", "compl',
        "",
        '{"prompt": "d", "completion": "e"}',
    ]
    table = read_file("\n".join(lines).encode(), "voice.jsonl")
    assert [row.number for row in table.rows] == [1, 4]
    assert kinds(table) == {"broken-line": [2]}


def test_a_first_line_that_is_broken_does_not_make_the_file_a_table() -> None:
    table = read_file(b'prompt: "a"\n{"prompt": "b", "completion": "c"}\n', "voice.jsonl")
    assert (kinds(table), table.column("prompt")) == ({"broken-line": [1]}, ["b"])


def test_a_bare_value_is_no_example() -> None:
    assert kinds(read({"text": "a"}, 7, ["x"])) == {"not-an-example": [2, 3]}


def test_an_array_of_texts_is_a_column_of_texts() -> None:
    table = read_file(b'["One text.", "Another, with a comma."]', "voice.json")
    assert (table.columns, table.column("text")) == (("text",), ["One text.", "Another, with a comma."])


def test_values_that_are_no_text_arrive_as_they_are_written() -> None:
    text = (
        '{"a": 1.10, "b": 007, "c": 1}\n'
        '{"a": 1.10, "b": true, "c": {"x": ["é", 2]}, "d": null, "e": 12345678901234567890}'
    )
    table = read_file(text.encode(), "voice.jsonl")
    assert table.rows[0].cells == ("1.10", "true", '{"x": ["é", 2]}', "", "12345678901234567890")
    assert kinds(table) == {"broken-line": [1]}


def test_keys_that_some_entries_lack_are_empty_cells() -> None:
    table = read({"text": "a", "tag": "x"}, {"text": "b", "note": "y"})
    assert (table.columns, [row.cells for row in table.rows]) == (
        ("text", "tag", "note"),
        [("a", "x", ""), ("b", "", "y")],
    )


def test_characters_that_no_text_can_be_saved_with_are_named() -> None:
    table = read_file(
        b'{"text": "half \\ud83d", "\\ud83d": "zero\\u0000"}\n{"text": "whole \\ud83d\\ude00"}', "v.jsonl"
    )
    assert (table.columns, table.rows[0].cells) == (("text", "\ufffd"), ("half \ufffd", "zero"))
    assert table.column("text")[1] == "whole 😀"
    assert kinds(table) == {"zero-bytes": [1], "encoding-damage": [1]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[{"a": "1"},\n\n {"a": "2"\n "b": 3', "beyond line 4"),
        ("[" * 100_000 + '{"a": 1', "cannot be read"),
        ('{"a": ' + "9" * 5000 + "}", "damaged|cannot be read"),
        ("[]", "no rows of examples"),
        ("{}", "no rows of examples"),
        ('{"prompt": ""}', "no rows of examples"),
        ("null", "no rows of examples"),
    ],
)
def test_json_beyond_repair_is_a_sentence_with_a_way_out(text: str, sentence: str) -> None:
    with pytest.raises(EngineFailure, match=sentence) as caught:
        read_file(text.encode(), "voice.json")
    assert caught.value.failure.what_to_do


@pytest.mark.parametrize("depth", [900, 940, 960, 970, 980, 990])
def test_brackets_nested_deep_cost_only_their_line(depth: int) -> None:
    deep = f'{{"text": {"[" * depth}{"]" * depth}}}'
    table = read_file(f'{{"text": "a"}}\n{deep}\n{{"text": "b"}}'.encode(), "voice.jsonl")
    assert (table.rows[0].cells, table.rows[-1].cells) == (("a",), ("b",))


def test_keys_that_are_data_do_not_fill_the_memory() -> None:
    with pytest.raises(EngineFailure, match="20,000 differently named"):
        read(*[{f"key {number}": "x"} for number in range(20_000)])


def test_too_many_lines_are_refused_with_the_offer_to_sample() -> None:
    data = "\n".join(f'{{"prompt": "Ask {n}", "completion": "Text {n}"}}' for n in range(50_000)).encode()
    with pytest.raises(EngineFailure, match="about 50,000 rows") as caught:
        read_file(data, "voice.jsonl")
    assert caught.value.failure.code == "too_many_examples"
    sample = read_file(data, "voice.jsonl", limit="sample")
    assert len(sample.rows) == MAX_EXAMPLES
    assert sample.rows[-1].number > 49_000
