"""How near to talk or to careful writing English texts are: one index, 50 in the middle.

D. Biber, Variation across Speech and Writing, Cambridge 1988, found what sets the two apart ("involved"
against "informational", his first dimension). Four of its strongest features need no grammar and are counted
here: short forms, first and second persons (talk) and the length of words (writing). The index is 50 plus ten
times the mean of their standard scores, so that most texts lie between 40 and 60. Knows no tone: a polite
text can be casual.
"""

from collections.abc import Mapping

from studio.address import I_, WE, YOU, count_forms

# Mean and standard deviation per text of 40 words or more, in 3,300 texts of ten kinds (dialogue, public web
# pages, textbooks, company handbooks, reference, novels, customer service, product texts, documentation);
# the first three per 100 words, the last in letters.
_SHORT_FORMS, _FIRST_PERSON, _SECOND_PERSON, _LETTERS = (0.78, 1.21), (2.14, 2.61), (2.36, 2.84), (4.92, 0.54)
_FEWEST_WORDS = 40
_S_IS_A_VERB = ("it", "that", "let", "what", "here", "there", "who", "he", "she")
CASUAL_BELOW, WRITTEN_FROM = 46.0, 53.0
"""Dialogue and replies to customers come out at 41 to 45, web pages at 51 to 53, textbooks at 55."""


def measure_formality(counts: Mapping[str, int]) -> float | None:
    """From counted, normalised words of English; None if they are too few to say."""
    words = {word: count for word, count in counts.items() if word[0].isalpha()}
    total = sum(words.values())
    if total < _FEWEST_WORDS:
        return None
    short = sum(count for word, count in words.items() if _is_short_form(word))
    letters = sum(len(word) * count for word, count in words.items()) / total
    talk = (
        _score(100 * short / total, _SHORT_FORMS),
        _score(100 * count_forms(words, I_ | WE) / total, _FIRST_PERSON),
        _score(100 * count_forms(words, YOU) / total, _SECOND_PERSON),
    )
    return 50 + 10 * (_score(letters, _LETTERS) - sum(talk)) / 4


def _is_short_form(word: str) -> bool:
    """ "don't", "we're"; but the "'s" of "shop's" belongs to no verb."""
    head, apostrophe, ending = word.partition("'")
    return bool(apostrophe) and (ending != "s" or head in _S_IS_A_VERB)


def _score(value: float, mean_and_deviation: tuple[float, float]) -> float:
    mean, deviation = mean_and_deviation
    return (value - mean) / deviation
