"""Rows become examples without a letter changed, and stay on their side of the split."""

import time
from collections.abc import Sequence
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.failures import EngineFailure
from engine.contract.records import (
    MAX_COMPLETION_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    Columns,
    Example,
    Finding,
    TokenCounts,
    Turn,
)
from engine.token_counts import count_tokens
from studio import checkup
from studio.checkup import check_up
from studio.columns import VOICE_PROMPT
from studio.examples import build_examples
from studio.findings import check_window, sort_findings
from studio.split import assign_split
from studio.table import Row, Table
from studio.window import Window
from tests.base_models import SMALL_MODEL

COLUMNS = Columns(prompt="Prompt", completion="Text")


def table(rows: list[tuple[str, str]], findings: tuple[Finding, ...] = ()) -> Table:
    records = tuple(Row(number, cells) for number, cells in enumerate(rows, start=2))
    return Table(("Prompt", "Text"), records, findings, "utf-8", ",", True)


def good(count: int) -> list[tuple[str, str]]:
    return [(f"Ask for {row}", f"This is text number {row} in our voice.") for row in range(count)]


def check(table: Table, columns: Columns = COLUMNS) -> tuple[list[Example], list[Finding]]:
    examples, findings = build_examples(table, columns)
    checkup = check_up(examples)
    return list(checkup.examples), sort_findings([*findings, *checkup.findings])


def found(rows: list[tuple[str, str]]) -> dict[str, Finding]:
    return {finding.kind: finding for finding in check(table([*good(60), *rows]))[1]}


def test_text_is_kept_to_the_last_space() -> None:
    rows = [*good(12), ("  ask ", " NA \n")]
    examples, _ = build_examples(table(rows), COLUMNS)
    assert [(example.prompt, example.completion) for example in examples] == rows
    assert examples[-1].row == 14


@pytest.mark.parametrize(
    ("kind", "severity", "rows", "used"),
    [
        ("empty-completion", "warning", [("ask", " ")], 0),
        ("empty-prompt", "warning", [("", "A fine text of ours.")], 0),
        ("duplicate", "note", [("Ask for 3", "This is text number 3 in our voice.")], 0),
        ("too-long", "error", [("ask", "x" * (MAX_COMPLETION_CHARACTERS + 1))], 0),
        ("same-prompt", "note", [("Ask for 3", "Quite another text of ours.")], 1),
        ("too-short", "note", [("ask", "Shop now")], 1),
        ("no-words", "warning", [("ask", "1,234")], 1),
        ("placeholder", "warning", [("ask", "Dear [INSERT NAME], welcome back.")], 1),
        ("placeholder", "warning", [("ask", "Dear {{first_name}}, welcome back.")], 1),
        ("placeholder", "warning", [("ask", "Lorem ipsum dolor sit amet.")], 1),
        ("encoding-damage", "warning", [("ask", "You donâ€™t need more.")], 1),
        ("encoding-damage", "warning", [("ask", "A cafÃ© under the stars.")], 1),
        ("lost-letters", "warning", [("ask", "Lost letters \ufffd here again.")], 1),
        ("html", "warning", [("ask", "Big news<br>for all of you.")], 1),
        ("html", "warning", [("ask", "Bed &amp; breakfast for two.")], 1),
        ("chatbot", "warning", [("ask", "As an AI language model, I cannot.")], 1),
        ("personal-data", "note", [("ask", "Write to anna@example.com for more.")], 1),
    ],
)
def test_each_flaw_is_named_with_its_row_and_a_remedy(
    kind: str, severity: str, rows: list[tuple[str, str]], used: int
) -> None:
    finding = found(rows)[kind]
    assert finding.severity == severity
    assert 62 in finding.rows
    assert "62" in finding.message
    assert finding.remedy
    assert len(check(table([*good(60), *rows]))[0]) == 60 + used


@pytest.mark.parametrize(
    "text",
    [
        "The café où naïve façades gleam – “voilà”, for 20 € … tonight.",
        "Größe zählt: für Söhne & Töchter, à la carte.",
        "Pick [one] of 3 < 4 sizes, then rest. R&D made it; we love it;",
        "Call it a 24/7 tent, since 1998, from 2,000 m up to 8,848 m.",
        "星空の下で眠りましょう。風の音を聞きながら。",
        "Ça va? ¡Olé! Ærø, łódź and “né—”.",
    ],
)
def test_good_writing_is_left_in_peace(text: str) -> None:
    assert found([("ask", text)]) == {}


def test_damage_is_shown_as_it_was_meant() -> None:
    assert "“donâ€™t” for “don’t”" in found([("ask", "You donâ€™t need more.")])["encoding-damage"].message


def test_blank_rows_are_nobodys_mistake() -> None:
    assert found([("", ""), (" ", "\t")]) == {}


def test_texts_alone_answer_one_prompt_without_remark() -> None:
    examples, findings = check(table(good(60)), Columns(prompt=None, completion="Text"))
    assert {example.prompt for example in examples} == {VOICE_PROMPT}
    assert findings == []


def test_under_ten_examples_is_an_error_that_says_how_many() -> None:
    examples, findings = check(table([*good(9), ("ask", "")]))
    assert len(examples) == 9
    assert (findings[0].kind, findings[0].severity) == ("too-few", "error")
    assert "9 usable examples" in findings[0].message


def test_the_worst_comes_first_and_the_tables_own_findings_are_kept() -> None:
    note = Finding(severity="note", kind="encoding", message="…")
    rows = [("ask", ""), *good(60), ("ask", "x" * 5000)]
    kinds = [finding.kind for finding in check(table(rows, (note,)))[1]]
    assert kinds == ["too-long", "empty-completion", "encoding"]
    assert sort_findings([note]) == [note]


def test_examples_beyond_the_window_are_named_by_row() -> None:
    examples = [Example(prompt="a", completion="b", row=row) for row in (2, 3, 4)]
    counts = TokenCounts(window_tokens=100, prompt_tokens=[10, 50, 100], completion_tokens=[90, 75, 5])
    lost, cut = sort_findings(check_window(examples, counts))
    assert (lost.kind, lost.rows, lost.severity) == ("prompt-over-window", [4], "error")
    assert (cut.kind, cut.rows) == ("over-window", [3])
    assert "20\u00a0%" in cut.message


def test_a_long_chat_is_not_called_lost_where_only_its_oldest_turns_go() -> None:
    examples = [Example(prompt="a", completion="b", row=row) for row in (2, 3, 4, 5)]
    counts = TokenCounts(
        window_tokens=100,
        prompt_tokens=[400, 150, 400, 60],
        completion_tokens=[20, 75, 20, 40],
        turn_tokens=[380, 100, 300, 40],
    )
    lost, cut, shortened = sort_findings(check_window(examples, counts))
    assert (lost.kind, lost.rows) == ("prompt-over-window", [4])
    assert (cut.kind, cut.rows) == ("over-window", [3])
    assert "20\u00a0%" in cut.message
    assert (shortened.kind, shortened.severity, shortened.rows) == ("turns-over-window", "note", [2])


def test_5_000_rows_are_built_and_checked_in_two_seconds() -> None:
    rows = good(5000)
    started = time.process_time()
    examples, _ = check(table(rows))
    assert time.process_time() - started < 2
    held_out = sum(example.split == "validation" for example in examples)
    assert 400 < held_out < 600


# --- the split ----------------------------------------------------------------------------------------

completions = st.lists(st.text(min_size=1, max_size=6), max_size=60)


def chats(*turns: list[str]) -> Table:
    """Conversations that differ in what was said before the same last question and answer."""
    spoken = [tuple(Turn(role="user", text=text) for text in texts) for texts in turns]
    rows = [Row(number, ("Thanks!", "Any time."), said) for number, said in enumerate(spoken, 1)]
    return Table(("Prompt", "Text"), tuple(rows), (), "utf-8", ",", True)


def test_earlier_turns_travel_with_their_example() -> None:
    examples, _ = build_examples(chats(["Hi", "Open today?"]), COLUMNS)
    assert examples[0].turns == (Turn(role="user", text="Hi"), Turn(role="user", text="Open today?"))


def test_the_same_end_of_another_conversation_is_no_duplicate() -> None:
    examples, findings = build_examples(chats(["Hi"], ["Hello"], ["Hi"]), COLUMNS)
    assert [example.row for example in examples] == [1, 2]
    assert {finding.kind: finding.rows for finding in findings}["duplicate"] == [3]


def test_a_conversation_longer_than_any_prompt_may_be_is_left_out_and_named() -> None:
    half = "x" * (MAX_PROMPT_CHARACTERS // 2)
    examples, findings = build_examples(chats(["Hi"], [half, half]), COLUMNS)
    assert [example.row for example in examples] == [1]
    assert {finding.kind: finding.rows for finding in findings}["long-conversation"] == [2]


def examples_of(texts: list[str]) -> list[Example]:
    return [Example(prompt="ask", completion=text, row=row) for row, text in enumerate(texts)]


def sides(texts: list[str]) -> dict[str, str]:
    return {example.completion: example.split for example in assign_split(examples_of(texts))}


@pytest.mark.parametrize(("count", "at_least"), [(0, 0), (1, 0), (4, 0), (5, 1), (10, 2), (15, 3), (40, 3)])
def test_some_are_held_out_and_most_are_not(count: int, at_least: int) -> None:
    split = [example.split for example in assign_split(examples_of([f"text {row}" for row in range(count)]))]
    assert split.count("validation") >= at_least
    assert split.count("train") >= split.count("validation")


@settings(max_examples=200, deadline=None)
@given(texts=completions.filter(bool))
def test_there_is_always_something_to_learn_from(texts: list[str]) -> None:
    assert "train" in sides(texts).values()


@settings(max_examples=200, deadline=None)
@given(texts=completions)
def test_sorting_the_table_changes_no_side(texts: list[str]) -> None:
    assert sides(texts) == sides(sorted(texts)) == sides(texts[::-1])


@settings(max_examples=200, deadline=None)
@given(texts=completions)
def test_equal_texts_never_stand_on_both_sides(texts: list[str]) -> None:
    split: dict[str, set[str]] = {}
    for example in assign_split(examples_of([*texts, *(f" {text.upper()}\n" for text in texts)])):
        split.setdefault(" ".join(example.completion.casefold().split()), set()).add(example.split)
    assert all(len(found_sides) == 1 for found_sides in split.values())


@settings(max_examples=100, deadline=None)
@given(added=completions)
def test_rows_added_later_move_nothing_out_of_the_held_out(added: list[str]) -> None:
    """Above the minimum the hash alone decides; a row that was held out is never learnt from later."""
    start = [f"text {row}" for row in range(80)]
    before, after = sides(start), sides([*start, *added])
    assert list(before.values()).count("validation") > 3
    assert {text for text in start if before[text] != after[text]} == set()


def test_tokens_are_counted_while_the_texts_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either waits for the other to have begun: one after the other, neither would end."""
    counting, reading = Event(), Event()
    examine = checkup.examine

    def examine_and_wait(examples: Sequence[Example]) -> list[Finding]:
        reading.set()
        assert counting.wait(10)
        return examine(examples)

    def count(examples: Sequence[Example]) -> TokenCounts:
        counting.set()
        assert reading.wait(10)
        sizes = [9 if example.row == 5 else 1 for example in examples]
        return TokenCounts(window_tokens=8, prompt_tokens=[1] * len(sizes), completion_tokens=sizes)

    window = Window(8, count)

    monkeypatch.setattr(checkup, "examine", examine_and_wait)
    examples, _ = build_examples(table(good(12)), COLUMNS)
    found = {finding.kind: finding.rows for finding in check_up(examples, window.check).findings}
    assert found["over-window"] == [5]


def test_a_failure_to_count_tokens_is_not_swallowed() -> None:
    def fail(examples: Sequence[Example]) -> list[Finding]:
        raise EngineFailure("engine_unreachable", "The engine is gone.")

    examples, _ = build_examples(table(good(12)), COLUMNS)
    with pytest.raises(EngineFailure, match="The engine is gone"):
        check_up(examples, fail)


def test_only_what_may_be_too_long_is_counted() -> None:
    """Held against counting all of them: nothing too long is passed over, in letters of one byte or four."""
    model = SMALL_MODEL
    texts = [sign * times for sign in ("a ", "ñ", "漢", "🙂", "x") for times in (3, 90, 260, 500, 900)]
    examples = [
        example.model_copy(update={"prompt": text[:40]})
        for example, text in zip(examples_of(texts), texts, strict=True)
    ]
    asked: list[Example] = []

    def count(some: Sequence[Example]) -> TokenCounts:
        asked.extend(some)
        return count_tokens(model, some)

    all_counts = count_tokens(model, examples)
    findings = Window(all_counts.window_tokens, count).check(examples)
    assert findings == check_window(examples, all_counts)
    assert findings
    assert 0 < len(asked) < len(examples)
