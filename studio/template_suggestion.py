"""Which columns together say what was asked, and the sentence that joins them, in their names' language.

Knows what brand teams call format, product, audience, tone, points and occasion of a text. Does not know
how a template is filled (`prompt_template.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from studio.column_contents import ColumnContents, read_column
from studio.column_names import EXPLICIT_PROMPTS, normalise_name
from studio.table import Table
from studio.wording import render_list

# Role -> language -> names of columns.
_NAMES: dict[str, dict[str, str]] = {
    "format": {
        "en": "format, type, kind, content type, text type, type of text, channel, medium, genre, asset",
        "de": "textart, textsorte, textformat, textart kanal, kanal, inhaltstyp, art",
        "fr": "type de texte, type de contenu, canal, support, genre de texte",
        "es": "formato, tipo, tipo de texto, tipo de contenido, canal de venta",
    },
    "product": {
        "en": "product, product name, item, item name, topic, subject, about, theme, campaign, title",
        "de": "produkt, produktname, artikel, artikelname, thema, kampagne, titel",
        "fr": "produit, nom du produit, article, sujet, thème, campagne, titre",
        "es": "producto, nombre del producto, artículo, tema, campaña, título",
    },
    "audience": {
        "en": "audience, target audience, target group, persona, segment, reader, customer type",
        "de": "zielgruppe, kundengruppe, leser, adressat",
        "fr": "public, public cible, cible, destinataire, clientèle",
        "es": "público, público objetivo, destinatario, audiencia",
    },
    "tone": {
        "en": "tone, tone of voice, mood, style",
        "de": "ton, tonalität, tonfall, stil, stimmung",
        "fr": "tonalité, style d écriture, registre",
        "es": "tono, estilo, tono de voz",
    },
    "points": {
        "en": "features, details, key points, key message, benefits, usp, usps, facts, keywords, points",
        "de": "merkmale, eigenschaften, vorteile, kernbotschaft, stichworte, schlagworte, fakten, argumente",
        "fr": "caractéristiques, atouts, avantages, message clé, mots clés, points clés",
        "es": "características, ventajas, mensaje clave, palabras clave, puntos clave",
    },
    "occasion": {
        "en": "occasion, season, event, holiday",
        "de": "anlass, saison",
        "fr": "saison de vente, événement",
        "es": "ocasión, temporada, evento",
    },
}
# Language -> beginnings with format and product, format alone, product alone; then the rest.
_SENTENCES: dict[str, tuple[tuple[str, str, str], dict[str, str]]] = {
    "en": (
        ("Write a {format} about {product}", "Write a {format}", "Write about {product}"),
        {
            "audience": " for {audience}",
            "tone": " Tone: {tone}.",
            "points": " To mention: {points}.",
            "occasion": " Occasion: {occasion}.",
        },
    ),
    "de": (
        ("Schreibe: {format} über {product}", "Schreibe: {format}", "Schreibe über {product}"),
        {
            "audience": " für {audience}",
            "tone": " Ton: {tone}.",
            "points": " Wichtig: {points}.",
            "occasion": " Anlass: {occasion}.",
        },
    ),
    "fr": (
        ("Écris : {format} sur {product}", "Écris : {format}", "Écris sur {product}"),
        {
            "audience": " pour {audience}",
            "tone": " Ton : {tone}.",
            "points": " À mentionner : {points}.",
            "occasion": " Occasion : {occasion}.",
        },
    ),
    "es": (
        ("Escribe: {format} sobre {product}", "Escribe: {format}", "Escribe sobre {product}"),
        {
            "audience": " para {audience}",
            "tone": " Tono: {tone}.",
            "points": " Menciona: {points}.",
            "occasion": " Ocasión: {occasion}.",
        },
    ),
}
_MOST_WORDS = {"points": 60.0}
_SHORT = 12.0


@dataclass(frozen=True)
class SuggestedTemplate:
    template: str
    reason: str


def suggest_template(table: Table, completion: str) -> SuggestedTemplate | None:
    """A template if at least two columns share the asking and none does it alone."""
    columns = [read_column(table, name) for name in table.columns if name != completion]
    if any(_asks_alone(column) for column in columns):
        return None
    roles, language = _find_roles(columns)
    if len(roles) < 2 or not {"format", "product"} & set(roles):
        return None
    names = render_list([f"“{roles[role]}”" for role in _NAMES if role in roles])
    reason = f"{names} together say what was asked, so they are joined into one prompt."
    return SuggestedTemplate(_write_template(roles, language), reason)


def _asks_alone(column: ColumnContents) -> bool:
    is_named = normalise_name(column.name) in EXPLICIT_PROMPTS
    return column.prose >= 0.8 and (is_named or (column.asks >= 0.5 and column.words >= 3))


def _find_roles(columns: list[ColumnContents]) -> tuple[dict[str, str], str]:
    """Role -> column, and the language in which most of them are named."""
    roles: dict[str, str] = {}
    languages: Counter[str] = Counter()
    for column in columns:
        found = _role_of(column)
        if found and found[0] not in roles:
            roles[found[0]] = column.name
            languages[found[1]] += 1
    return roles, max(_SENTENCES, key=lambda language: languages[language])


def _role_of(column: ColumnContents) -> tuple[str, str] | None:
    name = normalise_name(column.name)
    if not column.is_text or "{" in column.name or "}" in column.name:
        return None
    for role, by_language in _NAMES.items():
        for language, listed in by_language.items():
            if name in listed.split(", ") and column.words <= _MOST_WORDS.get(role, _SHORT):
                return role, language
    return None


def _write_template(roles: Mapping[str, str], language: str) -> str:
    (both, of_format, of_product), others = _SENTENCES[language]
    lead = both if {"format", "product"} <= set(roles) else of_format if "format" in roles else of_product
    written = lead + (others["audience"] if "audience" in roles else "") + "."
    written += "".join(others[role] for role in ("tone", "points", "occasion") if role in roles)
    return written.format_map({role: f"{{{name}}}" for role, name in roles.items()})
