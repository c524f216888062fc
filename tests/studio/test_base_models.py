"""Base models in words, which one a voice goes on with, and no claim about a language without a reason."""

import pytest

from engine.contract.records import BUNDLED_MODEL, BaseModelInfo
from studio.base_models import (
    check_language,
    choose_model,
    explain_language,
    render_copy,
    render_languages,
    render_size,
    speaks,
)
from studio.wording import render_words


def model(name: str = BUNDLED_MODEL, **changes: object) -> BaseModelInfo:
    sizes = {"parameters": 134_515_008, "layers": 30, "hidden_size": 576, "vocabulary": 49_152}
    fields = {"window_tokens": 8192, "bytes": 271_000_000, "fingerprint": "a" * 64, "is_bundled": False}
    return BaseModelInfo.model_validate({"name": name, "title": name, **sizes, **fields, **changes})


def test_what_was_chosen_is_used_while_it_can_be() -> None:
    models = [model(), model("big"), model("gone", problem="Its folder is gone.")]
    assert choose_model(models, "big", []) == "big"
    assert choose_model(models, "gone", []) == BUNDLED_MODEL
    assert choose_model(models, "never heard of", []) == BUNDLED_MODEL
    assert choose_model([model(problem="not yet"), model("big")], None, []) == "big"


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (("en",), "English only"),
        (("en", "de"), "English and German"),
        (("en", "de", "fr", "it"), "English, German, French and Italian"),
        (("en", "de", "fr", "it", "es", "xx"), "English, German, French and 3 more"),
        (("tlh", "en"), "TLH and English"),
    ],
)
def test_languages_are_said_as_a_person_lists_them(codes: tuple[str, ...], words: str) -> None:
    assert render_languages(codes) == words


def test_a_model_without_known_languages_and_texts_without_one_are_never_judged() -> None:
    assert speaks(model(), "de")
    assert speaks(model(languages=("en",)), None)
    assert speaks(model(languages=("en", "pt")), "es"), "the two are not told apart for certain"
    assert not speaks(model(languages=("en",)), "de")
    assert check_language(model(languages=("en", "de")), "de") == []


def test_the_remark_names_both_languages() -> None:
    (finding,) = check_language(model(languages=("en",)), "de")
    assert finding.message == f"Your texts are German; {BUNDLED_MODEL} knows English only."
    assert finding.severity == "warning"
    several = model(languages=("en", "fr"))
    assert explain_language(several, "de").endswith("knows English and French, but not German.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("", ""),
        ("Q4_K_M", "You tune a 4-bit copy (Q4_K_M) of it."),
        ("Q8_0", "You tune a 8-bit copy (Q8_0) of it."),
    ],
)
def test_a_copy_in_fewer_bits_is_said(kind: str, words: str) -> None:
    assert render_copy(model(quantised_from=kind)) == words.replace("a 8", "an 8")


def test_sizes_are_said_as_people_say_them() -> None:
    assert render_size(model()) == "135 million parameters"
    assert render_size(model(parameters=1_240_000_000)) == "1.2 billion parameters"
    assert [render_words(tokens) for tokens in (16, 512, 2048, 8192, 131_072)] == [
        *("12", "380", "1,500", "6,000", "98,000")
    ]
