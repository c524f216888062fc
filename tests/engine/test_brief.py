"""The brief says what the rules ask, and fills the virtual tokens to the last with whole examples."""

from pathlib import Path

import pytest

from engine.attempts import choose_brief
from engine.brief import compose_brief, encode_brief
from engine.contract.brand import BrandRules, LengthBand
from engine.contract.records import Example
from engine.models.load import load_tokenizer
from engine.run_files import Order
from engine.workspace import RunFolder
from tests.base_models import SMALL_MODEL
from tests.engine.conftest import OrderRun

RULES = BrandRules(
    length_bands=(LengthBand(least_words=20, most_words=60, least_characters=1, most_characters=400),),
    words_we_use=("trail", "summit"),
    words_we_never_use=("cheap",),
    spelling="british",
    exclamation_marks_at_most=0,
    emoji="never",
)


def test_every_rule_that_is_set_is_told_and_no_other() -> None:
    told = compose_brief(RULES)
    for words in ("20 to 60 words", "trail, summit", "Never write cheap", "british", "exclamation", "emoji"):
        assert words in told
    assert "emoji" not in compose_brief(BrandRules())
    assert "0 to 0" not in compose_brief(BrandRules())


@pytest.mark.parametrize("tokens", [1, 20, 61, 128, 199])
def test_a_brief_has_exactly_as_many_tokens_as_there_is_room_for(
    tokens: int, examples: list[Example]
) -> None:
    tokenizer = load_tokenizer(SMALL_MODEL)
    ids = encode_brief(tokenizer, compose_brief(RULES), examples, tokens)
    assert len(ids) == tokens
    assert ids == encode_brief(tokenizer, compose_brief(RULES), examples, tokens)


def test_it_begins_with_the_rules_and_ends_with_the_end_of_an_examples_answer(
    examples: list[Example],
) -> None:
    tokenizer = load_tokenizer(SMALL_MODEL)
    ids = encode_brief(tokenizer, "Speak as a sailor.", examples, 90)
    text = tokenizer.decode(ids)
    assert "Speak as a sailor." in text
    assert any(text.rstrip().endswith(f"{one.completion}{tokenizer.eos_token}") for one in examples)
    assert sum(one.completion in text for one in examples) >= 2


def test_too_few_examples_are_repeated(examples: list[Example]) -> None:
    tokenizer = load_tokenizer(SMALL_MODEL)
    assert len(encode_brief(tokenizer, "Speak as a sailor.", examples[:1], 150)) == 150


def test_a_run_keeps_the_brief_that_it_began_with(order_run: OrderRun) -> None:
    run = order_run("p-tuning")
    run.order = run.order.model_copy(update={"brief": "As it was."})
    run.write_order()
    assert choose_brief(run.folder, RULES) == "As it was."


def test_a_new_run_gets_what_the_rules_ask_for(tmp_path: Path) -> None:
    assert choose_brief(RunFolder(tmp_path), RULES) == compose_brief(RULES)


def test_an_order_from_before_there_were_briefs_still_opens(order_run: OrderRun) -> None:
    written = order_run("lora").order.model_dump(mode="json")
    del written["brief"]
    assert Order.model_validate(written).brief == ""
