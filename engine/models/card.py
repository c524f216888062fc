"""What a base model's card says of it: its licence and its languages, from the front matter of README.md.

The format is that of https://huggingface.co/docs/hub/model-cards. A card that is missing, malformed or vague
says nothing. Does not know weights, nor what the languages are held against.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_FRONT_MATTER_BYTES = 64_000
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_LICENCE_CHARACTERS = 60
# ISO 639-2 and 639-3 to 639-1, of the languages in which brands write.
_CODES = (
    "ara:ar bul:bg ces:cs cze:cs dan:da deu:de ger:de ell:el gre:el eng:en spa:es fin:fi fra:fr fre:fr "
    "heb:he hin:hi hrv:hr hun:hu ind:id ita:it jpn:ja kor:ko nld:nl dut:nl nor:no nob:no nb:no pol:pl "
    "por:pt ron:ro rum:ro rus:ru swe:sv tha:th tur:tr ukr:uk vie:vi zho:zh chi:zh cmn:zh"
)
_SHORT_CODES = dict(pair.split(":") for pair in _CODES.split())
# A model that says so may know any language.
_ANY_LANGUAGE = frozenset({"multilingual", "mul"})


@dataclass(frozen=True)
class ModelCard:
    licence: str = ""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes, in the card's order; empty if they are not known."""
    quantised_from: str = ""
    """The number format of the GGUF file that the weights were unpacked from (`write_card`)."""


def read_card(folder: Path) -> ModelCard:
    """What README.md in the folder of a model says; an empty card where nothing can be read."""
    fields = _read_front_matter(folder / "README.md")
    languages = read_languages(fields.get("language", fields.get("languages")))
    return ModelCard(_licence(fields), languages, str(fields.get("quantised_from") or "")[:20])


def write_card(folder: Path, fields: Mapping[str, Any], text: str) -> None:
    """README.md with this front matter; `read_card` reads license, languages and quantised_from again."""
    # JSON is YAML, and no value of a stranger's file can break out of it.
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items() if value]
    (folder / "README.md").write_text("\n".join(["---", *lines, "---", "", text, ""]), "utf-8")


def read_languages(value: Any) -> tuple[str, ...]:
    """A code, or several, as ISO 639-1; nothing if the value does not limit the languages or names none."""
    named = value if isinstance(value, list | tuple) else [value]
    codes = [_plain_code(code) for code in named if isinstance(code, str) or code is False]
    return () if _ANY_LANGUAGE & set(codes) else tuple(dict.fromkeys(_two_letters(codes)))


def _plain_code(code: str | bool) -> str:
    # YAML 1.1 reads the bare code of Norwegian as false.
    return "no" if code is False else re.split(r"[-_]", str(code).strip().lower())[0]


def _two_letters(codes: Iterable[str]) -> list[str]:
    short = [_SHORT_CODES.get(code, code) for code in codes]
    return [code for code in short if re.fullmatch(r"[a-z]{2}", code)]


def _read_front_matter(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_FRONT_MATTER_BYTES).decode("utf-8", "replace")
        found = _FRONT_MATTER.match(text)
        fields = yaml.safe_load(found[1]) if found else {}
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _licence(fields: dict[str, Any]) -> str:
    """Its identifier; the name that the card gives to one that has none."""
    named = fields.get("license")
    if named == "other":
        named = fields.get("license_name", named)
    if isinstance(named, list):
        named = ", ".join(map(str, named))
    line = " ".join(named.split()) if isinstance(named, str) else ""
    return line if len(line) <= _MAX_LICENCE_CHARACTERS else ""
