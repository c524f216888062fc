"""The columns are suggested as a person would choose them."""

import pytest

from engine.contract.records import Columns
from studio.columns import VOICE_PROMPT, suggest_columns
from studio.table import Row, Table

SHORT, LONG = "A tent for two", "Sleep under the stars tonight, wherever the road ends and the forest begins."


def table(columns: dict[str, str], rows: int = 12) -> Table:
    cells = tuple(columns.values())
    records = tuple(Row(number, cells) for number in range(2, rows + 2))
    return Table(tuple(columns), records, (), "utf-8", ",", True)


@pytest.mark.parametrize(
    ("columns", "prompt", "completion"),
    [
        ({"Prompt": SHORT, "Text": LONG}, "Prompt", "Text"),
        ({"completion": LONG, "prompt": SHORT}, "prompt", "completion"),
        ({"Answer": SHORT, "Question": LONG}, "Question", "Answer"),
        ({"instruction": SHORT, "input": SHORT, "output": LONG}, "instruction", "output"),
        ({"ID": "7", "Brief": SHORT, "Brand copy": LONG, "Date": "2024-01-02"}, "Brief", "Brand copy"),
        ({"Spalte A": LONG, "Spalte B": SHORT}, "Spalte B", "Spalte A"),
        ({"Column 1": SHORT, "Column 2": LONG}, "Column 1", "Column 2"),
        ({"product_name": SHORT, "what we wrote": LONG}, "product_name", "what we wrote"),
        ({"Text": LONG}, None, "Text"),
        ({"Nr": "12", "Link": "https://shop.example/a", "Post": LONG}, None, "Post"),
    ],
)
def test_columns_are_chosen_by_name_and_by_length(
    columns: dict[str, str], prompt: str | None, completion: str
) -> None:
    assert suggest_columns(table(columns)).columns == Columns(prompt=prompt, completion=completion)


WRITE = ["Write a post about tents", "Describe the Alpine jacket.", "Answer a customer who is cold"]
ASK = ["Is it waterproof?", "How long does delivery take?", "Can I return it?"]
PROSE = [
    "Sleep under the stars tonight, wherever the road ends and the forest begins.",
    "Our Alpine jacket keeps the wind out and lets the day in, from the first step to the last.",
    "A cold night calls for a warm bag. We have made ours from wool that grew on the next hill.",
]
STATES = ["approved", "approved", "draft"]
DATES = ["2024-05-01", "03.06.2024", "7/8/24"]
CODES = ["SKU-1042", "SKU-1043", "a3f9-77b0"]
LINKS = ["https://shop.example/a", "www.shop.example/b", "https://shop.example/c"]
REMARKS = ["", "check the price before this goes out, please", ""]
TOPICS = ["Alpine jacket", "Tent for two", "Wool sleeping bag"]
FORMATS = ["product text", "e-mail", "post"]
PEOPLE = ["families", "climbers", "people who feel the cold"]


def filled(columns: dict[str, list[str]]) -> Table:
    rows = [Row(number, cells) for number, cells in enumerate(zip(*columns.values(), strict=True), start=2)]
    return Table(tuple(columns), tuple(rows) * 4, (), "utf-8", ",", True)


@pytest.mark.parametrize(
    ("columns", "prompt", "completion"),
    [
        # Exports with more columns than are needed.
        ({"ID": CODES, "Date": DATES, "Brief": WRITE, "Copy": PROSE, "Status": STATES}, "Brief", "Copy"),
        (
            {"SKU": CODES, "Product name": TOPICS, "Description": PROSE, "URL": LINKS},
            "Product name",
            "Description",
        ),
        (
            {"Question ID": CODES, "Question": ASK, "Answer": PROSE, "Answer date": DATES},
            "Question",
            "Answer",
        ),
        ({"Status": STATES, "Text": PROSE}, None, "Text"),
        ({"Text": PROSE, "Notes": REMARKS, "Approved by": STATES}, None, "Text"),
        (
            {"Author": STATES, "Instruction": WRITE, "Final copy (EN)": PROSE},
            "Instruction",
            "Final copy (EN)",
        ),
        ({"Comment": ASK, "Reply": PROSE, "Date": DATES}, "Comment", "Reply"),
        ({"Customer message": PROSE, "Our reply": TOPICS}, "Customer message", "Our reply"),
        ({"Prompt text": WRITE, "Product text": PROSE}, "Prompt text", "Product text"),
        ({"Email subject": TOPICS, "Email body": PROSE}, "Email subject", "Email body"),
        ({"productName": TOPICS, "brandCopy": PROSE, "createdAt": DATES}, "productName", "brandCopy"),
        (
            {"First name": PEOPLE, "Last name": TOPICS, "Nachricht": ASK, "Antwort": PROSE},
            "Nachricht",
            "Antwort",
        ),
        # What European teams call them.
        ({"Anfrage": ASK, "Antwort": PROSE}, "Anfrage", "Antwort"),
        ({"Datum": DATES, "Auftrag": WRITE, "Werbetext": PROSE, "Freigabe": STATES}, "Auftrag", "Werbetext"),
        (
            {"Artikelnummer": CODES, "Artikel": TOPICS, "Produktbeschreibung": PROSE},
            "Artikel",
            "Produktbeschreibung",
        ),
        ({"Kundenfrage": ASK, "Antworttext": PROSE, "Bearbeiter": STATES}, "Kundenfrage", "Antworttext"),
        ({"Thema": TOPICS, "Beitrag": PROSE, "Kanal": STATES}, "Thema", "Beitrag"),
        ({"Consigne": WRITE, "Texte": PROSE, "Lien": LINKS}, "Consigne", "Texte"),
        ({"Demande client": ASK, "Réponse": PROSE, "Statut": STATES}, "Demande client", "Réponse"),
        ({"Produit": TOPICS, "Description produit": PROSE, "Prix": DATES}, "Produit", "Description produit"),
        ({"Pregunta": ASK, "Respuesta": PROSE, "Fecha": DATES}, "Pregunta", "Respuesta"),
        ({"Encargo": WRITE, "Texto": PROSE, "Estado": STATES}, "Encargo", "Texto"),
        ({"Richiesta": WRITE, "Testo": PROSE}, "Richiesta", "Testo"),
        ({"Pedido": WRITE, "Resposta": PROSE}, "Pedido", "Resposta"),
        ({"Opdracht": WRITE, "Tekst": PROSE}, "Opdracht", "Tekst"),
        # Names that say nothing: the cells do.
        ({"Column 1": PROSE, "Column 2": WRITE}, "Column 2", "Column 1"),
        ({"A": ASK, "B": PROSE, "C": REMARKS}, "A", "B"),
        ({"Spalte1": DATES, "Spalte2": WRITE, "Spalte3": PROSE, "Spalte4": STATES}, "Spalte2", "Spalte3"),
        # Swapped by mistake: nearly every cell contradicts the names.
        ({"Prompt": PROSE, "Completion": WRITE}, "Completion", "Prompt"),
        ({"Frage": PROSE, "Antwort": ASK}, "Antwort", "Frage"),
    ],
)
def test_real_tables_are_read_as_their_owners_mean_them(
    columns: dict[str, list[str]], prompt: str | None, completion: str
) -> None:
    found = suggest_columns(filled(columns)).columns
    assert (found.prompt, found.completion) == (prompt, completion)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"Prompt": WRITE, "Text": PROSE}, "as their names say"),
        ({"Column 1": PROSE, "Column 2": WRITE}, "read like requests"),
        ({"Column 1": PROSE, "Column 2": TOPICS}, "since its texts are longer"),
        ({"Prompt": PROSE, "Completion": WRITE}, "the other way round"),
        ({"Status": STATES, "Text": PROSE}, "no other column says what was asked"),
        (
            {"Format": FORMATS, "Product": TOPICS, "Text": PROSE},
            "“Format” and “Product” together say what was asked",
        ),
    ],
)
def test_the_reason_is_the_one_that_decided(columns: dict[str, list[str]], says: str) -> None:
    assert says in suggest_columns(filled(columns)).reason


def test_columns_that_ask_together_are_joined() -> None:
    found = suggest_columns(filled({"Format": FORMATS, "Product": TOPICS, "Audience": PEOPLE, "Text": PROSE}))
    assert found.columns.template == "Write a {Format} about {Product} for {Audience}."
    assert found.columns.completion == "Text"


def test_with_texts_alone_the_prompt_is_said() -> None:
    assert VOICE_PROMPT in suggest_columns(table({"Text": LONG})).reason


def test_a_table_of_numbers_is_only_a_guess() -> None:
    assert "only a guess" in suggest_columns(table({"a": "1", "b": "2"})).reason


def test_a_column_with_gaps_is_no_prompt_while_a_full_one_is_there() -> None:
    full = table({"Kind": SHORT, "Remarks": LONG, "Text": LONG})
    rows = tuple(
        Row(row.number, (row.cells[0], row.cells[1] if row.number % 2 else "", row.cells[2]))
        for row in full.rows
    )
    gappy = Table(full.columns, rows, (), "utf-8", ",", True)
    assert suggest_columns(gappy).columns.prompt == "Kind"
