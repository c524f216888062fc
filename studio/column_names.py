"""The names people give to the columns of their tables, and what each says about the column's role.

Ordered: the earlier name wins where a table has two, and where a name holds words of both roles ("Product
text" is a text, "Prompt text" a prompt). Compared in small letters without punctuation. English, German,
French, Spanish, Italian, Portuguese and Dutch. Does not know what stands in the columns.
"""

import re

_PROMPTS = """
    prompt, prompts, instruction, instructions, question, questions, request, brief, briefing, task,
    query, user, user message, customer, customer message, ask, assignment,
    anfrage, frage, fragen, aufgabe, auftrag, anweisung, kundenanfrage, kundenfrage, auftrag an die redaktion,
    consigne, demande, instruction donnée, requête, message du client, demande client,
    pregunta, preguntas, instrucción, instrucciones, consigna, encargo, petición, solicitud, consulta,
    domanda, richiesta, istruzione, incarico, pergunta, pedido, instrução, solicitação,
    vraag, opdracht, verzoek, instructie,
    input, inputs, context, kontext, contexte, contexto, topic, thema, sujet, tema, onderwerp,
    subject, betreff, asunto, oggetto, objet, title, titel, titre, título, titolo, headline, überschrift,
    product, produkt, produit, producto, prodotto, produto, artikel, article,
    product name, produktname, artikelname, nom du produit, nombre del producto, name, keyword, keywords,
    stichwort, stichworte, mots clés, palabras clave
"""
_COMPLETIONS = """
    completion, completions, answer, answers, response, responses, reply, replies, output, outputs,
    assistant, antwort, antworten, unsere antwort, réponse, réponses, respuesta, respuestas, risposta,
    risposte, resposta, antwoord, ausgabe, sortie, salida, target, brand copy, brand text, copy, final copy,
    our text, our copy, werbetext, produkttext, markentext, text, texts, texte, texto, testo, textos, tekst,
    content, inhalt, contenu, contenido, contenuto, conteúdo, body, product description,
    produktbeschreibung, artikelbeschreibung, description produit, descripción del producto, description,
    descriptions, beschreibung, descripción, descrizione, descrição, beschrijving, omschrijving, post,
    beitrag, publication, publicación, caption, bildunterschrift, légende, email, e mail, mail, courriel,
    correo, newsletter, message, nachricht, mensaje, messaggio, mensagem, bericht, result, ergebnis
"""
_ASIDE = """
    first name, last name, full name, user name, username, vorname, nachname, kunde, prénom, nom, nombre,
    apellido, company, firma, société, empresa, phone, telefon, téléphone, teléfono, address, adresse,
    dirección, id, nr, no, number, nummer, numéro, número, numero, sku, ean, gtin, code, key, url, link,
    lien, enlace, image, bild, foto, photo, date, datum, fecha, data, created, updated, created at, updated
    at, published, erstellt, geändert, status, stand, statut, estado, stato, state, approved, freigabe,
    freigegeben, author, autor, auteur, autore, owner, editor, redakteur, reviewer, verantwortlich,
    responsable, notes, note, notizen, notiz, remarks, remark, comment, comments, kommentar, kommentare,
    anmerkung, anmerkungen, bemerkung, bemerkungen, remarques, commentaire, commentaires, comentario,
    comentarios, notas, commenti, internal notes, interne notiz, feedback, language, sprache, langue,
    idioma, lingua, taal, country, land, pays, país, paese, market, markt, price, preis, prix, precio,
    prezzo, rating, score, bewertung, version, source, quelle, campaign id, row, zeile, index, tags
"""


def _read_names(listed: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in listed.split(","))


LONE_COLUMN = "Text"
"""What the column of a file is called that has but one and does not name it."""
PROMPT_NAMES = _read_names(_PROMPTS)
COMPLETION_NAMES = _read_names(_COMPLETIONS)
ASIDE_NAMES = frozenset(_read_names(_ASIDE))
"""What belongs to neither role: numbers, dates, people, remarks."""
_KNOWN = frozenset(PROMPT_NAMES + COMPLETION_NAMES)
EXPLICIT_PROMPTS = frozenset(PROMPT_NAMES[: PROMPT_NAMES.index("input")])
"""Names that say outright that the column holds what was asked; the later ones only may."""
# German writes "Antworttext" and "Artikelbeschreibung" as one word, whose last part says what it is.
_ENDINGS = _read_names(
    "text, texte, beschreibung, antwort, beitrag, nachricht, mail, post, frage, anfrage, auftrag,"
    " aufgabe, thema, titel"
)
# "Name" alone may be a product's; "Last name" is a person's.
_ALONE_ONLY = frozenset({"name", "customer", "user"})
# A name that merely holds a known word ranks behind one that is known as a whole.
_HELD = 1_000


def normalise_name(name: str) -> str:
    """Words in small letters; "productName" and "product_name" are two each."""
    parted = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", parted.casefold()))


def is_known_name(name: str) -> bool:
    return normalise_name(name) in _KNOWN


def is_aside_name(name: str) -> bool:
    """ "Status", "Answer date", "Approved by": an aside as a whole, at its end, or with no role in it."""
    normal = normalise_name(name)
    words = normal.split()
    if normal in _KNOWN or not words:
        return False
    ends_aside = normal in ASIDE_NAMES or words[-1] in ASIDE_NAMES
    return ends_aside or (words[0] in ASIDE_NAMES and not _KNOWN.intersection(words))


def rank_as_prompt(name: str) -> int | None:
    """The smaller, the more surely a prompt; None if the name says nothing of the kind."""
    prompt, completion = _rank(name, PROMPT_NAMES), _rank(name, COMPLETION_NAMES)
    return prompt if prompt is not None and (completion is None or prompt <= completion) else None


def rank_as_completion(name: str) -> int | None:
    prompt, completion = _rank(name, PROMPT_NAMES), _rank(name, COMPLETION_NAMES)
    return completion if completion is not None and (prompt is None or completion < prompt) else None


def _rank(name: str, known: tuple[str, ...]) -> int | None:
    normal = normalise_name(name)
    if is_aside_name(name):
        return None
    if normal in known:
        return known.index(normal)
    words = {*normal.split(), *(ending for ending in _ENDINGS if normal.endswith(ending))} - _ALONE_ONLY
    held = [place for place, other in enumerate(known) if other in words]
    return _HELD + held[0] if held else None
