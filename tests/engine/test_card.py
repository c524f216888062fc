"""What a model's card says is read where it is plain, and never made up."""

from pathlib import Path

import pytest

from engine.models.card import MAX_FRONT_MATTER_BYTES, ModelCard, read_card, read_languages


def write(folder: Path, front_matter: str, text: str = "# A model\n") -> Path:
    (folder / "README.md").write_text(f"---\n{front_matter}\n---\n{text}", "utf-8")
    return folder


@pytest.mark.parametrize(
    ("front_matter", "licence", "languages"),
    [
        ("license: apache-2.0\nlanguage: en", "apache-2.0", ("en",)),
        ("license: mit\nlanguage:\n- en\n- de\n- fr", "mit", ("en", "de", "fr")),
        ("language: [en-US, pt_BR, deu, eng]", "", ("en", "pt", "de")),
        ("language: no", "", ("no",)),
        ("license: other\nlicense_name: gemma\nlanguage: english", "gemma", ()),
        ("license: [mit, apache-2.0]", "mit, apache-2.0", ()),
        ("language:\n- multilingual\n- en", "", ()),
        ("language: null\nlicense: null", "", ()),
        ("language: 7\nlicense: {a: b}", "", ()),
    ],
)
def test_licence_and_languages_are_read_in_every_form_that_cards_use(
    tmp_path: Path, front_matter: str, licence: str, languages: tuple[str, ...]
) -> None:
    assert read_card(write(tmp_path, front_matter)) == ModelCard(licence, languages)


@pytest.mark.parametrize(
    "content",
    [
        b"# No front matter\nlanguage: de\n",
        b"---\nlanguage: de\n",
        b"---\n{unclosed\n---\n",
        b"---\n- a\n- list\n---\n",
        b"---\nlanguage: !!python/object/apply:os.system ['true']\n---\n",
        b"---\n" + b"[" * 5_000 + b"\n---\n",
        b"\xff\xfe\x00\x00",
        b"---\nlanguage: de\n#" + b"x" * MAX_FRONT_MATTER_BYTES + b"\n---\n",
    ],
)
def test_a_malformed_card_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "README.md").write_bytes(content)
    assert read_card(tmp_path) == ModelCard()


def test_a_folder_without_a_card_says_nothing(tmp_path: Path) -> None:
    assert read_card(tmp_path) == ModelCard()


def test_languages_of_a_gguf_file_are_read_like_those_of_a_card() -> None:
    assert read_languages(["en", "de", "en"]) == ("en", "de")
    assert read_languages(None) == ()
