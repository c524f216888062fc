"""Slots of a template that nobody filled in: “[INSERT NAME]”, “{{order_number}}”, “lorem ipsum”.

Brackets that a writer means, such as “[sic]”, “[1]” or “[SOLD OUT]”, are told apart by the words in them;
what masks personal data is no slot.
"""

import re

from studio.personal_data import MASKS

_SLOT_WORDS = """
    address agent amount brand business category city client code color colour company contact content
    country coupon customer date day deadline description destination discount email e-mail event
    feature first firstname from fname full here image industry insert item job last lastname link lname
    location logo manager model month name names number occasion order organisation organization
    percentage person phone photo picture place placeholder position price product quantity recipient
    sender service signature size store street subject surname team telephone text time title topic town
    tracking url user username value venue website x xx xxx year zip
"""
_FILLING_WORDS = "a an and of or the to with my our your their his her this if any another no. # / & 1 2 3"
_SLOT_NAMES = frozenset(_SLOT_WORDS.split())
_SLOT_FILLERS = frozenset(_FILLING_WORDS.split())
_SLOT_ORDERS = (
    "insert ",
    "your ",
    "enter ",
    "add ",
    "fill in",
    "choose ",
    "select ",
    "put ",
    "write ",
    "replace ",
)
# What opens and closes a slot; what stands in one pair of brackets must be the words of a slot.
_BRACKETED = re.compile(
    r"\[([^\[\]\n]{1,60})\]|(?<!\{)\{([^{}\n]{1,40})\}(?!\})|<([A-Za-z][^<>\n]{1,40})>|%([A-Za-z_]{3,30})%"
)
# Two of them, or the signs of a mailing tool, are never prose.
_CERTAIN = re.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\[\[[^\[\]\n]{1,60}\]\]|<<[^<>\n]{1,60}>>|\$\{[^{}\n]{1,60}\}"
    r"|\*\|[A-Z0-9_:]{2,40}\|\*|%%[A-Za-z_ ]{2,40}%%"
    r"|\b[Ll]orem ipsum\b|\bLOREM IPSUM\b|\bTBD\b|\bTODO\b|\bTK TK\b|\bXX{2,}\b(?! ?[Ll])"
    r"|(?<!\w)_{4,}(?!\w)|\b[Ff]irstname [Ll]astname\b"
)
_HINTS = ("[", "{", "<", "%", "*|", "psum", "PSUM", "TBD", "TODO", "TK TK", "XXX", "____", "irstname")


def find_placeholder(text: str) -> str | None:
    """The first slot, as it stands in the text."""
    if not any(hint in text for hint in _HINTS):
        return None
    certain = _CERTAIN.search(text)
    if certain:
        return certain[0]
    return next((slot[0] for slot in _BRACKETED.finditer(text) if _names_slot(slot)), None)


def _names_slot(slot: re.Match[str]) -> bool:
    if slot[0] in MASKS:
        return False
    inside = next(group for group in slot.groups() if group is not None).casefold()
    if slot[0].startswith("[") and inside.startswith(_SLOT_ORDERS):
        return True
    words = re.split(r"[\s_\-.:/]+", inside.strip())
    named = [word for word in words if word.rstrip("'’s") in _SLOT_NAMES or word in _SLOT_NAMES]
    return bool(named) and all(word in named or word in _SLOT_FILLERS or not word for word in words)
