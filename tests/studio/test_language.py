"""A text in another language is named with its language; names and short texts trip nothing."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from studio import language
from studio.language import find_language, find_other_languages

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "outdoor_shop_voice.csv"
with SAMPLE.open(encoding="utf-8-sig", newline="") as sample:
    ENGLISH = [row["Text"] for row in csv.DictReader(sample)]

GERMAN = [
    "Unser Rucksack trägt sich leicht, auch wenn der Weg lang wird und das Wetter nicht mitspielt.",
    "Diese Jacke hält dich trocken, wenn der Regen kommt, und warm, wenn der Abend länger wird als gedacht.",
    "Mit dem kleinen Kocher ist der Kaffee fertig, bevor die anderen ihre Schuhe gefunden haben.",
    "Das Zelt steht in fünf Minuten und bleibt auch dann stehen, wenn der Wind sich etwas anderes wünscht.",
]
FOREIGN = [
    (GERMAN[0], "German"),
    (
        "Notre sac à dos se porte facilement, même quand le chemin est long et que la pluie s'invite.",
        "French",
    ),
    (
        "Lleva menos peso y llega más lejos con la mochila que hemos hecho para ti y para los tuyos.",
        "Spanish",
    ),
    (
        "Il nostro zaino si porta bene anche quando la strada è lunga e il tempo non aiuta per niente.",
        "Italian",
    ),
    ("Onze rugzak draagt heerlijk licht, ook als de weg lang is en het weer niet mee wil werken.", "Dutch"),
    (
        "Nasz plecak nosi się lekko, nawet gdy droga jest długa, a pogoda nie chce z nami współpracować.",
        "Polish",
    ),
    ("私たちのリュックは、道が長くても天気が悪くても、軽く背負えるように作られています。", "Japanese"),
    ("Наш рюкзак легко нести, даже если дорога длинная, а погода совсем не на нашей стороне.", "Russian"),
]
SAME = [
    "Café crème, déjà vu, and a certain je ne sais quoi: our new mug keeps it all warm until noon.",
    "The Fjällräven Kånken and the Vaude Brenta meet the Deuter Aircontact Lite on one shelf of ours.",
    "Ortlieb Vario, Jack Wolfskin Texapore, Schöffel Jacke, Löffler Hose, Meindl Stiefel, Leki Stock.",
    "C'est la vie!",
    "Willkommen, bienvenue, welcome.",
    "Wrap up. Step out. Stay out. Come home. Do it again tomorrow. Then rest, if you must, by the fire.",
]


@pytest.mark.parametrize(("text", "language"), FOREIGN)
def test_a_text_in_another_language_is_named_with_it(text: str, language: str) -> None:
    assert find_other_languages([*ENGLISH, text]) == {len(ENGLISH): language}


def test_english_among_german_is_found_as_well() -> None:
    texts = [
        f"{text} Schreib uns, wenn du wissen willst, wie wir Nummer {n} machen."
        for text in GERMAN
        for n in range(10)
    ]
    assert find_other_languages([*texts, *ENGLISH[:2]]) == {40: "English", 41: "English"}


@pytest.mark.parametrize("text", SAME)
def test_names_and_borrowed_words_trip_nothing(text: str) -> None:
    assert find_other_languages([*ENGLISH, text]) == {}


def test_a_few_texts_are_not_judged() -> None:
    assert find_other_languages([*ENGLISH[:5], GERMAN[0]]) == {}


def test_a_model_that_is_being_loaded_is_not_loaded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from py3langid.langid import LanguageIdentifier

    loaded = []
    load = LanguageIdentifier.from_model_file

    def load_and_count(*arguments: object, **options: object) -> LanguageIdentifier:
        loaded.append(arguments)
        return load(*arguments, **options)

    language._identifier()  # so that nothing loads it any more
    language._load_identifier.cache_clear()
    monkeypatch.setattr(LanguageIdentifier, "from_model_file", load_and_count)
    together = Barrier(4)

    def ask(_: int) -> object:
        together.wait()
        return language._identifier()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(loaded) == 1


# --- the language of all texts ----------------------------------------------------------------------------

SPANISH = [
    "Lleva menos peso y llega más lejos con la mochila que hemos hecho para ti y para los tuyos.",
    "Esta chaqueta te mantiene seco cuando llega la lluvia y caliente cuando la noche se hace más larga.",
    "Con el hornillo pequeño el café está listo antes de que los demás hayan encontrado sus botas.",
]


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (ENGLISH, "en"),
        (GERMAN * 5, "de"),
        (SPANISH * 5, "es"),
        (GERMAN * 9 + ENGLISH[:4], "de"),
        (GERMAN * 5 + ["Neu!", "Jetzt im Laden.", "OK"] * 20, "de"),
    ],
)
def test_the_language_of_most_texts_is_found(texts: list[str], language: str) -> None:
    assert find_language(texts) == language


@pytest.mark.parametrize(
    "texts",
    [
        [],
        GERMAN[:2],
        ["Neu!", "Jetzt im Laden.", "Sommer 2026", "Bestseller"] * 20,
        GERMAN * 5 + ENGLISH[:20],
        ENGLISH[:12] + GERMAN * 3 + SPANISH * 4,
        ["XK-200 Pro Max, 64 GB, USB-C, Bluetooth 5.3, IP68, 120 Hz"] * 20,
    ],
    ids=["none", "two", "short", "half and half", "three languages", "names and numbers"],
)
def test_without_a_clear_majority_no_language_is_claimed(texts: list[str]) -> None:
    assert find_language(texts) is None
