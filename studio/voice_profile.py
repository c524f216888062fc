"""A voice, described from its texts alone: lengths, favourite words, openings, marks, whom it speaks to.

Parts that only mean something in English are empty or None for other languages. Does not know the words in
which this is told (`voice_summary.py`) nor the pictures (`ui/voice_charts.py`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median

from studio.address import Address, measure_address
from studio.favourite_words import FavouriteWord, find_favourites
from studio.formality import measure_formality
from studio.openings import Opening, count_closings, count_openings, find_commands, find_first_words
from studio.plain_english import is_english, plain_share
from studio.punctuation_habits import PunctuationHabit, measure_punctuation
from studio.reading_level import grade_of
from studio.sentences import SplitText, split_text

_BARS_AT_MOST = 9
_BAR_WIDTHS = (5, 10, 20, 25, 50, 100, 200, 500)


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: "5–9" words, and how many have that."""

    label: str
    count: int


@dataclass(frozen=True)
class VoiceProfile:
    texts: int
    words: int
    is_english: bool
    words_per_sentence: float
    """Median."""
    sentence_lengths: tuple[Bar, ...]
    words_per_text: float
    """Median."""
    usual_text_words: tuple[int, int]
    """Eight in ten texts lie between these."""
    text_lengths: tuple[Bar, ...]
    punctuation: tuple[PunctuationHabit, ...]
    first_words: tuple[Opening, ...]
    openings: tuple[Opening, ...] = ()
    """Kinds of beginnings, the commonest first; English only, as are all below."""
    opening_commands: tuple[str, ...] = ()
    closings: tuple[Opening, ...] = ()
    address: tuple[Address, ...] = ()
    favourites: tuple[FavouriteWord, ...] = ()
    plain_share: float | None = None
    """Share of running words that are among the 2,000 commonest."""
    formality: float | None = None
    """50 in the middle, less is nearer to talk (`formality.py`)."""
    reading_grade: float | None = None


def describe_voice(completions: Sequence[str]) -> VoiceProfile:
    """Texts without a word count as none; with no text at all every figure is nought."""
    texts = [text for text in map(split_text, completions) if text.words]
    counts = Counter(chain.from_iterable(text.plain for text in texts))
    sentence_words = [len(words) for text in texts for words in text.words]
    text_words = [len(text.plain) for text in texts]
    english = is_english(counts)
    profile = VoiceProfile(
        texts=len(texts),
        words=sum(text_words),
        is_english=english,
        words_per_sentence=median(sentence_words or [0]),
        sentence_lengths=build_bars(sentence_words),
        words_per_text=median(text_words or [0]),
        usual_text_words=_usual_range(text_words),
        text_lengths=build_bars(text_words),
        punctuation=measure_punctuation([text.text for text in texts], sum(text_words)),
        first_words=find_first_words(texts),
    )
    return _add_english(profile, texts, counts) if english else profile


def _add_english(profile: VoiceProfile, texts: Sequence[SplitText], counts: Counter[str]) -> VoiceProfile:
    sentences = sum(len(text.sentences) for text in texts)
    return replace(
        profile,
        openings=count_openings(texts),
        opening_commands=find_commands(texts),
        closings=count_closings(texts),
        address=measure_address(texts),
        favourites=find_favourites(texts),
        plain_share=plain_share(counts),
        formality=measure_formality(counts),
        reading_grade=grade_of(counts, sentences),
    )


def build_bars(values: Sequence[int]) -> tuple[Bar, ...]:
    """Equal bars from 1 up to about where nineteen in twenty lie, and one for all beyond."""
    if not values:
        return ()
    reach = sorted(values)[(19 * (len(values) - 1)) // 20]
    width = next((width for width in _BAR_WIDTHS if reach < width * _BARS_AT_MOST), _BAR_WIDTHS[-1])
    bars = min(reach // width + 1, _BARS_AT_MOST)
    counts = Counter(min(value // width, bars) for value in values)
    labels = [f"{max(1, width * index)}–{width * (index + 1) - 1}" for index in range(bars)]
    shown = [Bar(label, counts[index]) for index, label in enumerate(labels)]
    return (*shown, Bar(f"{width * bars}+", counts[bars])) if counts[bars] else tuple(shown)


def _usual_range(values: Sequence[int]) -> tuple[int, int]:
    ordered = sorted(values) or [0]
    tenth = (len(ordered) - 1) // 10
    return ordered[tenth], ordered[len(ordered) - 1 - tenth]
