"""Names in an English text: words with a capital that neither a sentence's start nor habit gives them.

A lone ordinary word with a capital ("our Promise") is no name; two of them in a row ("the Summit Tent") are
one, except in a headline, where every word has a capital. Weekdays, months, feasts and languages claim
nothing. Knows ordinary words by a list (`plain_english.py`); does not know names themselves, nor other
languages.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from studio.fact_claims import Claim, Name
from studio.plain_english import is_ordinary
from studio.prose import Prose, Word

_NOT_NAMES = frozenset(
    str.split(
        """
i i'm i've i'll i'd monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays
thursdays fridays saturdays sundays january february march april may june july august september october
november december jan feb mar apr jun jul aug sep sept oct nov dec christmas xmas easter halloween
hanukkah ramadan diwali eid thanksgiving valentine valentine's new year's english british american
french german spanish italian dutch portuguese polish latin greek chinese japanese arabic mr mrs ms miss
mx dr prof sir madam god internet web wi-fi wifi bluetooth am pm ok okay ps rsvp faq faqs tbc vip diy
asap eta id url pdf app sms qr gps led lcd usb uv sos tv pc dvd cd hd ai it hr ceo vat spf bpa pvc abs
pin atm sim ip dear hello hi hey thanks regards sincerely cheers yours north south east west northern
southern
"""
    )
)
# Names of pages and buttons, as replies to customers cite them: "Contact Us", "Order History".
_PAGE_WORDS = frozenset(
    str.split(
        """
us contact customer service services support team help centre center account settings terms conditions
privacy policy order orders history my your our menu home page profile payment shipping delivery returns
refund refunds cart basket checkout sign log in out up now details information section form billing
address personal password save submit update next track live chat about sale shop store black friday
cyber monday care relations checkout create cancel place add view change edit delete manage reset forgot
go email e-mail item items buy learn more get started read newsletter subscribe login register
"""
    )
)
_JOINING = (" ", "-", " & ", "/")
_HEADLINE_SHARE = 0.6
_HEADLINE_WORDS = 3


def find_names(prose: Prose, hidden: Sequence[Claim] = ()) -> Iterator[Claim]:
    """Names outside of what other claims already hold (a street, a date)."""
    if not prose.is_english:
        return
    for sentence in _find_sentences(prose):
        runs = list(_find_runs(prose, sentence))
        is_headline = bool(runs) and _is_headline(sentence)
        for run in runs:
            words = [word for word in _trim(run, is_headline) if not _is_hidden(word, hidden)]
            telling = _find_telling(words, is_headline)
            if telling:
                start, end = words[0].start, words[-1].end
                values = tuple(Name(strip_possessive(word.lower)) for word in telling)
                yield Claim("name", _cut_possessive(prose.text[start:end]), start, end, values)


def strip_possessive(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")


def _cut_possessive(text: str) -> str:
    return text[:-2] if text.endswith(("'s", "’s")) else text


def _find_sentences(prose: Prose) -> Iterator[Sequence[Word]]:
    """Those, two in three are not, in which a word has a capital that their start did not give it."""
    starts = [position for position, begins in enumerate(prose.beginnings) if begins == "sentence"]
    for first, end in pairwise([*starts, len(prose.lower)]):
        written = prose.parts[2 * first + 1 : 2 * end : 2]
        if _is_made_up(written[0]) or not all(map(str.islower, written[1:])):
            yield prose.find_words(first, end)


def _is_headline(sentence: Sequence[Word]) -> bool:
    """Most of its longer words have a capital, or all letters have: then a capital says nothing."""
    long = [word for word in sentence if len(word.text) > 3]
    capitals = sum(word.text[0].isupper() for word in long)
    shouts = len(sentence) > 1 and not any(word.text.islower() or word.text.istitle() for word in sentence)
    return shouts or (len(long) >= _HEADLINE_WORDS and capitals > _HEADLINE_SHARE * len(long))


def _find_runs(prose: Prose, sentence: Sequence[Word]) -> Iterator[list[Word]]:
    """Words with a capital that stand side by side."""
    run: list[Word] = []
    for word in sentence:
        gap = prose.text[run[-1].end : word.start] if run else ""
        if run and not (gap in _JOINING and (_has_capital(word) or (gap == "-" and word.text.isdigit()))):
            yield run
            run = []
        if run or _has_capital(word):
            run.append(word)
    if run:
        yield run


def _has_capital(word: Word) -> bool:
    text = word.text
    if text.islower():
        return False
    return (text[0].isupper() or _is_made_up(text)) and word.lower not in _NOT_NAMES


def _is_made_up(text: str) -> bool:
    """ "iPhone", "PowerPort", "3000X": no ordinary word is written so."""
    inside = text[1:]
    return (
        not text.isupper() and any(letter.isupper() for letter in inside) and text.replace("'", "").isalnum()
    )


def _trim(run: list[Word], is_headline: bool) -> list[Word]:
    """Without a first word that has its capital from where it stands."""
    first = run[0]
    if not first.begins or _is_made_up(first.text):
        return run
    return run[1:] if is_headline or len(run) == 1 or _is_plain(first) else run


def _find_telling(words: Sequence[Word], is_headline: bool) -> list[Word]:
    """The words that make it a name: those that are not ordinary, else all of several; or none."""
    telling = [word for word in words if _is_made_up(word.text) or not _is_plain(word)]
    if telling:
        shouts = is_headline and all(word.text.isupper() for word in words)
        return [] if shouts else telling
    if is_headline or len(words) < 2 or all(word.lower in _PAGE_WORDS for word in words):
        return []
    return list(words)


def _is_plain(word: Word) -> bool:
    lower = strip_possessive(word.lower)
    return len(lower) == 1 or lower in _PAGE_WORDS or is_ordinary(lower)


def _is_hidden(word: Word, claims: Sequence[Claim]) -> bool:
    return any(claim.start < word.end and word.start < claim.end for claim in claims)
