"""Columns that ask together are joined in the language their owner named them in."""

import pytest

from studio.prompt_template import check_template
from studio.table import Row, Table
from studio.template_suggestion import suggest_template

TEXT = "Sleep under the stars tonight, wherever the road ends."


def table(columns: dict[str, str]) -> Table:
    rows = tuple(Row(number, tuple(columns.values())) for number in range(2, 14))
    return Table(tuple(columns), rows, (), "utf-8", ",", True)


@pytest.mark.parametrize(
    ("columns", "template"),
    [
        ({"Format": "post", "Product": "tent"}, "Write a {Format} about {Product}."),
        (
            {"Content type": "post", "Topic": "tents", "Tone of voice": "warm"},
            "Write a {Content type} about {Topic}. Tone: {Tone of voice}.",
        ),
        (
            {"Product name": "Tent", "Target audience": "families", "Key points": "light, dry"},
            "Write about {Product name} for {Target audience}. To mention: {Key points}.",
        ),
        (
            {"Channel": "e-mail", "Occasion": "spring sale", "id": "17"},
            "Write a {Channel}. Occasion: {Occasion}.",
        ),
        (
            {"Textart": "Newsletter", "Produkt": "Zelt", "Zielgruppe": "Familien", "Tonalität": "warm"},
            "Schreibe: {Textart} über {Produkt} für {Zielgruppe}. Ton: {Tonalität}.",
        ),
        (
            {"Type de texte": "e-mail", "Produit": "tente", "Cible": "familles"},
            "Écris : {Type de texte} sur {Produit} pour {Cible}.",
        ),
        (
            {"Formato": "correo", "Producto": "tienda", "Tono": "cercano"},
            "Escribe: {Formato} sobre {Producto}. Tono: {Tono}.",
        ),
    ],
)
def test_the_columns_are_joined_into_a_sentence(columns: dict[str, str], template: str) -> None:
    data = table({**columns, "Text": TEXT})
    suggested = suggest_template(data, "Text")
    assert suggested is not None
    assert suggested.template == template
    assert check_template(suggested.template, data.columns) is None
    assert "together say what was asked" in suggested.reason


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"Product": "tent"},
        {"Tone": "warm", "Audience": "families"},
        {"Format": "post", "Product": "tent", "Prompt": "Write a post about tents"},
        {"Format": "post", "Product": "tent", "Notes": "Write a post about our new tents"},
        {
            "Format": "post",
            "Product": "A long text about a tent that goes on and on, far too long for a topic.",
        },
        {"Format": "12", "Product": "SKU-17"},
        {"For{mat": "post", "Product": "tent"},
    ],
)
def test_where_one_column_asks_or_none_does_nothing_is_joined(columns: dict[str, str]) -> None:
    assert suggest_template(table({**columns, "Text": TEXT}), "Text") is None
