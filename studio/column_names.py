"""The names people give to the columns of their tables, and what each says about the column's role.

Ordered: the earlier name wins where a table has two. Compared in small letters without punctuation.
"""

import re

_PROMPTS = """
    prompt, prompts, instruction, instructions, question, questions, request, brief, briefing, task,
    query, user, user message, customer, customer message, ask, assignment, input, inputs, context, topic,
    subject, title, headline, product, product name, name, keyword, keywords,
    anfrage, frage, aufgabe, pregunta, consigna, demande, consigne, domanda, pergunta
"""
_COMPLETIONS = """
    completion, completions, answer, answers, response, responses, reply, replies, output, outputs, assistant,
    target, brand copy, brand text, copy, text, texts, content, body, product description, description,
    descriptions, post, caption, email, message, result,
    antwort, texto, texte, testo, respuesta, réponse, risposta, resposta, beschreibung
"""


def _read_names(listed: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in listed.split(","))


PROMPT_NAMES = _read_names(_PROMPTS)
COMPLETION_NAMES = _read_names(_COMPLETIONS)
_KNOWN = frozenset(PROMPT_NAMES + COMPLETION_NAMES)


def normalise_name(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def is_known_name(name: str) -> bool:
    return normalise_name(name) in _KNOWN
