"""Which texts are in another language than the rest. Short texts are never judged, nor names of brands.

The words that most texts share are looked at first; only texts that have hardly any of them are shown to
py3langid, whose model takes half a second to load. Does not know rows.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import chain
from statistics import median
from threading import Lock, Thread
from typing import TYPE_CHECKING

from studio.words import split_all, split_words

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# What brands write in. Fewer languages to choose from mean fewer mistakes.
LANGUAGES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
# Too near each other to be told apart in a few lines.
_RELATED = ({"da", "no", "sv"}, {"ru", "uk", "bg"}, {"es", "pt"})
_WORDS_AT_LEAST = 8
_TEXTS_AT_LEAST = 10
_SHARED_BY = 0.1
# Of the usual share of common words; a text in another language keeps a tenth of it, a list of names a third.
_FEW = 0.4
_SAMPLE = 40
_SURE = 0.9
# Of a sample, to say what language all are in.
_JUDGED_AT_LEAST = 5
_JUDGED_SHARE = 0.3
_CLEAR_MAJORITY = 0.7
_loading = Lock()


@cache
def load_ahead() -> None:
    """Load the model beside whatever goes on, so that the first table need not wait for it."""
    Thread(target=_identifier, name="load-languages", daemon=True).start()


def find_language(texts: Sequence[str]) -> str | None:
    """The code of the language that most texts are surely in; None without a clear majority.

    Only texts of some length are judged, and only what is certain counts.
    """
    long = [text for text in texts if len(split_words(text)) >= _WORDS_AT_LEAST]
    sample = long[:: max(1, len(long) // _SAMPLE)][:_SAMPLE]
    judged = Counter(language for text in sample if (language := _judge(text)))
    if judged.total() < max(_JUDGED_AT_LEAST, _JUDGED_SHARE * len(sample)):
        return None
    language, count = judged.most_common(1)[0]
    return language if count >= _CLEAR_MAJORITY * judged.total() else None


def find_other_languages(texts: Sequence[str]) -> dict[int, str]:
    """Position -> name of its language, for each text that is surely in another one than most."""
    words = split_all(tuple(texts))
    strange = _find_strange(words)
    if not strange:
        return {}
    usual = _usual_language([text for position, text in enumerate(texts) if position not in strange])
    found = {}
    for position in sorted(strange):
        language = _judge(texts[position])
        if usual and language and not are_related(language, usual):
            found[position] = LANGUAGES[language]
    return found


def _find_strange(words: Sequence[list[str]]) -> set[int]:
    """Texts with hardly any of the words that most share."""
    long = [position for position, parts in enumerate(words) if len(parts) >= _WORDS_AT_LEAST]
    if len(long) < _TEXTS_AT_LEAST:
        return set()
    common = _common_words([set(words[position]) for position in long])
    shares = {
        position: sum(map(common.__contains__, words[position])) / len(words[position]) for position in long
    }
    few = _FEW * median(shares.values())
    return {position for position, share in shares.items() if share < few}


def _common_words(texts: Sequence[set[str]]) -> set[str]:
    """Words of a tenth of the texts and more that keep company with the most common one: of its language."""
    counts = Counter(chain.from_iterable(texts))
    shared = {word for word, count in counts.items() if count >= _SHARED_BY * len(texts)}
    if not shared:
        return set()
    first = max(shared, key=lambda word: (counts[word], word))
    beside = Counter(chain.from_iterable(words & shared for words in texts if first in words))
    usual = counts[first] / len(texts)
    return {word for word in shared if beside[word] > 0.5 * usual * counts[word]}


def _usual_language(texts: Sequence[str]) -> str | None:
    sample = texts[:: max(1, len(texts) // _SAMPLE)][:_SAMPLE]
    judged = Counter(language for text in sample if (language := _judge(text)))
    most = judged.most_common(1)
    return most[0][0] if most and most[0][1] > len(sample) / 3 else None


def _judge(text: str) -> str | None:
    """Its language if that is sure both with and without the capitalised words, most of which are names."""
    lower = " ".join(word for word in text.split() if not word[0].isupper())
    if len(split_words(lower)) < _WORDS_AT_LEAST:
        return None
    ranked = dict(_identifier().rank(text))
    language, again = next(iter(ranked)), _identifier().classify(lower)[0]
    # Relatives share what is certain: a text is surely Russian or Bulgarian long before it is one.
    surely = sum(probability for other, probability in ranked.items() if are_related(language, other))
    return language if surely >= _SURE and are_related(language, again) else None


def are_related(left: str, right: str) -> bool:
    """Whether they are the same, or too near to be told apart in a few lines."""
    return left == right or any({left, right} <= related for related in _RELATED)


def _identifier() -> "LanguageIdentifier":
    """Whoever asks while the model is loaded waits for it, rather than load it a second time."""
    with _loading:
        return _load_identifier()


@cache
def _load_identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
