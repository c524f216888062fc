"""Where exclamation marks, emoji and the comma before the last "and" of a list stand in a text.

Each function gives places as (start, end). Does not know what a brand wants, nor how often a voice does it
(`punctuation_habits.py`), nor what words mean: a list is told from other commas by its shape.
"""

import re

Span = tuple[int, int]

EXCLAMATION = re.compile(r"[!！]")
_LAST_AND = re.compile(r"(,?) (?:and|or) (?=\w)")
_BREAK = re.compile(r"[.;:!?()—–\"“”\n]")
# Longer than four words is no item of a list but a clause; longer than this no list of them.
_ITEM_WORDS = 4
_LIST_CHARACTERS = 200
_JOINED = re.compile(r"\b(?:and|or)\b")
# They open a clause, so that the comma behind or before them makes no list: "When it rains, you and I".
_CLAUSE = re.compile(
    r"(?:^|\b(?:and|but) )(?:after|although|as|at|because|before|but|by|during|even|for|from|how|however|if|"
    r"in|instead|of course|on|once|please|since|so|still|that|then|therefore|though|to|under|until|we|when|"
    r"where|whether|which|"
    r"while|who|with|without|you|they|it|he|she|there|this|these|those|finally|lastly|simply|"
    r"including|such|\w+ing(?= ))\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"(?:i|you|we|they|it|he|she|there|this|that|which|who)\b", re.IGNORECASE)
_SHORT_END = re.compile(r"[\w-]+(?: [\w-]+)?(?:[.!?;:)]|$)")
# Signs that phones and browsers draw in colour: Unicode's emoji blocks, those older signs whose picture is
# the default (emoji-data.txt, Emoji_Presentation) or in wide use as such, and any sign made one by U+FE0F.
EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a"
    "\u231a\u231b\u23e9-\u23f3\u25fd\u25fe\u2600-\u2604\u260e\u2614\u2615\u2639\u263a\u2648-\u2653\u2665\u267b"
    "\u267f\u2693\u26a0\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f0-\u26f5\u26f7-\u26fa"
    "\u26fd\u2702\u2705\u2708-\u270d\u270f\u2714\u2716\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757"
    "\u2763\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55]|[^\\w\\s]\ufe0f|[0-9#*]\ufe0f?\u20e3)"
    # Skin tones, and whatever a joiner ties to it: a family is one.
    "[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*(?:\u200d[^\\w\\s][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
_EMOJI_RUN = re.compile(f"(?:{EMOJI.pattern})+")


def find_exclamations(text: str) -> list[Span]:
    """One per mark: "wow!!" has two."""
    return [match.span() for match in EXCLAMATION.finditer(text)]


def find_emoji(text: str) -> list[Span]:
    """One per run of emoji: a row of hearts is one place."""
    return [] if text.isascii() else [match.span() for match in _EMOJI_RUN.finditer(text)]


def find_lists(text: str) -> list[tuple[Span, bool]]:
    """Lists of three or more: where the last comma stands or is missing, and whether it stands there."""
    if ", " not in text:
        return []
    return [
        ((match.start(), match.start() + 1), bool(match[1]))
        for match in _LAST_AND.finditer(text)
        if _ends_list(text, match)
    ]


def _ends_list(text: str, match: re.Match[str]) -> bool:
    """Two commas make a list by themselves; with one, the parts must be short, at a full stop."""
    head = _BREAK.split(text[max(match.start() - _LIST_CHARACTERS, 0) : match.start()])[-1]
    first, others = _split_items(head)
    if not others or any(_JOINED.search(item) for item in (first, *others)):
        return False
    if _PRONOUN.match(text, match.end()):
        return False
    if match[1] or len(others) > 1:
        return True
    is_short = others[0].count(" ") < 2 and bool(_SHORT_END.match(text, match.end()))
    return is_short and not _CLAUSE.search(first)


def _split_items(head: str) -> tuple[str, list[str]]:
    """The items before the last "and": the first with the few words before it, and the others."""
    first, *others = head.split(", ")
    for place in range(len(others) - 1, -1, -1):
        if len(others[place].split()) > _ITEM_WORDS or _CLAUSE.search(others[place]):
            first, others = others[place], others[place + 1 :]
            break
    return " ".join(first.split()[-_ITEM_WORDS:]), others
