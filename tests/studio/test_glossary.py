"""Every term on screen has one plain sentence."""

import re
from pathlib import Path

import pytest

import studio
from studio.glossary import TERMS, explain
from studio.recipes import KNOBS, Knob

ROOT = Path(studio.__file__).parent.parent
NOT_PLAIN = re.compile(
    r"\b(gradient|tensor|optimi[sz]er|logits?|hyperparameters?|inference|transformer|weights? decay)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("term", TERMS)
def test_a_sentence_is_one_short_plain_sentence(term: str) -> None:
    sentence = TERMS[term]
    assert sentence.endswith(".")
    assert sentence[0].isupper()
    assert len(sentence.split()) <= 26
    assert not NOT_PLAIN.search(sentence)


def test_every_term_that_a_page_explains_has_a_sentence() -> None:
    files = [*ROOT.glob("pages/**/*.py"), *ROOT.glob("studio/**/*.py")]
    used = {term for file in files for term in re.findall(r'\bexplain\("([^"]+)"\)', file.read_text())}
    assert all(explain(term) for term in used)


def test_the_technical_name_finds_the_plain_one() -> None:
    assert explain("Temperature") == explain("creativity")
    assert explain("LoRA") == TERMS["lora"]


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
def test_every_setting_is_explained(knob: Knob) -> None:
    assert explain(knob.term)
