"""A repair does what its button says, to the rows it names and no other, and can be undone."""

import pytest

from engine.contract.records import Example, Finding
from studio.doctor import examine
from studio.numbering import number_rows
from studio.repairs import REPAIRS, describe_repair, get_repair, repair

TEXT = "A fine text of ours that nobody needs to mend."
TWIN = "Our wool beanie keeps the wind out on every ridge, from the first snow to the last thaw of the year."


def finding(kind: str, *rows: int) -> Finding:
    return Finding(severity="warning", kind=kind, rows=list(rows), message="…")


def texts(examples: list[Example]) -> list[tuple[str, str]]:
    return [(example.prompt, example.completion) for example in examples]


def rows_of(*pairs: tuple[str, str]) -> list[Example]:
    return [
        Example(prompt=prompt, completion=text, row=row) for row, (prompt, text) in enumerate(pairs, start=2)
    ]


@pytest.mark.parametrize(
    ("kind", "choice", "before", "after"),
    [
        ("encoding-damage", None, ("Who doesnâ€™t?", "We donâ€™t."), ("Who doesn’t?", "We don’t.")),
        ("html", None, ("Bed &amp; tea", "One<br>two"), ("Bed & tea", "One\ntwo")),
        ("personal-data", None, ("Reply to jo@example.com", TEXT), ("Reply to [e-mail]", TEXT)),
        ("personal-data", "keep", ("Reply to jo@example.com", TEXT), ("Reply to jo@example.com", TEXT)),
        ("personal-data", "drop", ("Reply to jo@example.com", TEXT), None),
        ("swapped-columns", None, (TEXT, "Write it."), ("Write it.", TEXT)),
        ("placeholder", None, ("ask", "Dear [NAME], hello."), None),
        ("placeholder", "keep", ("ask", "Dear [NAME], hello."), ("ask", "Dear [NAME], hello.")),
        ("off-voice", "drop", ("ask", "Hereinafter."), None),
        ("too-short", None, ("ask", "Shop now"), ("ask", "Shop now")),
        ("too-short", "drop", ("ask", "Shop now"), None),
    ],
)
def test_a_repair_does_what_it_says(
    kind: str, choice: str | None, before: tuple[str, str], after: tuple[str, str] | None
) -> None:
    examples = rows_of(before)
    assert texts(repair(examples, finding(kind, 2), choice)) == ([after] if after else [])


def test_only_the_named_rows_change_and_the_earlier_list_undoes_it() -> None:
    examples = rows_of(("ask", "One<br>two"), ("ask", "Three<br>four"))
    earlier = list(examples)
    mended = repair(examples, finding("html", 3))
    assert texts(mended) == [("ask", "One<br>two"), ("ask", "Three\nfour")]
    assert examples == earlier


def test_a_row_of_which_nothing_would_be_left_stays() -> None:
    examples = rows_of(("ask", "<br><br>"))
    assert repair(examples, finding("html", 2)) == examples


def test_the_first_of_near_duplicates_is_kept() -> None:
    examples = rows_of(("a", TWIN), ("b", TEXT), ("c", TWIN + " Yes."), ("d", TWIN.upper()))
    found = next(one for one in examine(examples) if one.kind == "near-duplicate")
    assert found.rows == [4, 5]
    assert [example.row for example in repair(examples, found)] == [2, 3]
    assert repair(examples, found, "all") == examples


def test_the_first_answer_to_each_prompt_is_kept() -> None:
    examples = rows_of(("Ask!", TEXT), ("Other", TWIN), ("ask", TWIN), ("Ask", "Something else entirely."))
    found = next(one for one in examine(examples) if one.kind == "same-prompt")
    assert repair(examples, found) == examples
    assert [example.row for example in repair(examples, found, "first")] == [2, 3]


def test_repairs_of_one_examination_follow_each_other() -> None:
    """Rows keep their numbers though rows before them are gone and some were typed in by hand."""
    by_hand = [
        Example(prompt="ask", completion=text) for text in ("Dear [NAME], come.", "One<br>two three four")
    ]
    examples = [*rows_of(("ask", "Dear [NAME], hi."), ("more", TEXT)), *by_hand]
    found = {one.kind: one for one in examine(examples)}
    left = repair(examples, found["placeholder"])
    assert texts(repair(left, found["html"])) == [("more", TEXT), ("ask", "One\ntwo three four")]


def test_examples_of_two_tables_are_told_apart() -> None:
    two = [*rows_of(("ask", TEXT), ("more", TWIN)), *rows_of(("and", "One<br>two three"))]
    numbered = number_rows(two)
    assert [example.row for example in numbered] == [2, 3, 4]
    assert number_rows(numbered) == numbered
    found = next(one for one in examine(two) if one.kind == "html")
    assert texts(repair(two, found)) == [("ask", TEXT), ("more", TWIN), ("and", "One\ntwo three")]


def test_what_was_done_is_said_in_one_sentence() -> None:
    examples = rows_of(("ask", "One<br>two"), ("ask", "donâ€™t do it"), ("ask", TEXT))
    damage = finding("encoding-damage", 3)
    assert describe_repair(examples, repair(examples, damage), damage) == "1 row mended: letters put right."
    short = finding("too-short", 2)
    assert describe_repair(examples, examples, short) == "Nothing was changed."


@pytest.mark.parametrize("kind", REPAIRS)
def test_every_choice_has_a_name_and_a_button_of_its_own(kind: str) -> None:
    ways = (REPAIRS[kind], *REPAIRS[kind].others)
    assert len({way.choice for way in ways}) == len({way.label for way in ways}) == len(ways)
    assert all(get_repair(kind, way.choice) is way for way in ways)


@pytest.mark.parametrize("kind", ["encoding-damage", "html", "personal-data"])
def test_a_mended_row_is_not_found_again(kind: str) -> None:
    examples = rows_of(("Mail jo@example.com &amp; tell her", "We donâ€™t<br>sleep at 12 Mulberry Lane."))
    found = next(one for one in examine(examples) if one.kind == kind)
    assert kind not in {one.kind for one in examine(repair(examples, found))}
