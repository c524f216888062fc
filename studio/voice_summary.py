"""A voice in five to eight short sentences that its brand manager can say yes or no to.

Does not know how anything was counted (`voice_profile.py`). A sentence is only said of what is plainly so.
"""

from collections.abc import Iterable

from studio.formality import CASUAL_BELOW, WRITTEN_FROM
from studio.openings import Opening
from studio.voice_profile import VoiceProfile
from studio.wording import render_list, render_percent

_FEW_TEXTS, _HANDFUL = 3, 10
# How a share of texts is said: in tenths, with the ends as words.
_NEARLY_ALL, _HARDLY_ANY = 0.95, 0.05
_SHORT_SENTENCE, _LONG_SENTENCE = 12, 20
_OPENINGS = {
    "command": "open with a command",
    "question": "open with a question",
    "you": "open by speaking to “you”",
    "we": "open with “we”",
    "name": "open with the name of what they are about",
    "greeting": "open with a greeting",
}
_CLOSINGS = {
    "command": "close with a call to do something",
    "question": "close with a question",
    "exclamation": "close with an exclamation mark",
    "sign-off": "close with a greeting",
}


def summarise_voice(profile: VoiceProfile) -> list[str]:
    """The most telling first. A voice with too few texts is told so, and what is missing."""
    if profile.texts < _FEW_TEXTS:
        return ["There are too few texts to describe a voice: it takes at least three."]
    sentences: Iterable[str | None] = (
        _say_sentences(profile),
        _say_length(profile),
        _say_address(profile),
        _say_openings(profile),
        _say_favourites(profile),
        _say_marks(profile),
        _say_register(profile),
        _say_reading(profile),
        None if profile.is_english else _NOT_ENGLISH,
    )
    return [sentence for sentence in sentences if sentence]


_NOT_ENGLISH = "Most of these texts are not in English, so their words and openings are not compared here."


def _say_sentences(profile: VoiceProfile) -> str:
    words = round(profile.words_per_sentence)
    if words <= _SHORT_SENTENCE:
        return f"Short sentences: half have {words} words or fewer."
    if words >= _LONG_SENTENCE:
        return f"Long sentences: half have {words} words or more."
    return f"Sentences of middling length: usually about {words} words."


def _say_length(profile: VoiceProfile) -> str:
    low, high = profile.usual_text_words
    if low == high:
        return f"Your texts all have about {low} words."
    even = "Texts of even length" if high <= 2 * max(low, 1) else "Texts of many lengths"
    return f"{even}: eight in ten have between {low} and {high} words."


def _say_address(profile: VoiceProfile) -> str | None:
    if not profile.address:
        return None
    share = {address.person: address.share_of_texts for address in profile.address}
    you, we = share["you"], max(share["we"], share["I"])
    own = "we" if share["we"] >= share["I"] else "I"
    if you < 0.1 and we < 0.1:
        return "You hardly ever say “you”, “we” or “I”: the texts speak of things, not to people."
    if we < 0.1:
        return f"You speak to “you” in {_of_texts(you, profile)}, and keep yourself out of it: hardly a “we”."
    if you < 0.1:
        return f"You speak of yourself as “{own}” in {_of_texts(we, profile)}, and seldom to “you”."
    return f"You speak to “you” in {_of_texts(you, profile)}, and as “{own}” in {_of_texts(we, profile)}."


def _say_openings(profile: VoiceProfile) -> str | None:
    kinds = _told(profile.openings, _OPENINGS, profile.texts)
    if kinds:
        top = kinds[0]
        names = [f"“{word}”" for word in profile.opening_commands] if top.text == "command" else []
        examples = f": {render_list(names)}" if names else ""
        return f"{_texts_do(top.texts, profile.texts)} {_OPENINGS[top.text]}{examples}."
    words = [f"“{opening.text}”" for opening in profile.first_words if 10 * opening.texts >= profile.texts]
    if words:
        return f"Many texts begin with {render_list(words[:3], 'or')}."
    for closing in _told(profile.closings, _CLOSINGS, profile.texts):
        return f"{_texts_do(closing.texts, profile.texts)} {_CLOSINGS[closing.text]}."
    return None


def _say_favourites(profile: VoiceProfile) -> str | None:
    words = [f"“{favourite.word}”" for favourite in profile.favourites[:5]]
    return f"Words you love: {render_list(words)}." if len(words) >= 3 else None


def _say_marks(profile: VoiceProfile) -> str:
    """Marks that stand in a third of the texts; then which of the loud ones never do."""
    used = sorted(profile.punctuation, key=lambda habit: -habit.share_of_texts)
    often = [habit for habit in used if habit.share_of_texts >= 0.3][:2]
    loud = ("exclamation marks", "emoji", "hashtags")
    shares = {habit.name: habit.share_of_texts for habit in used}
    never = [name for name in loud if shares[name] < 0.02]
    quiet = f"{'hardly any' if any(shares[name] for name in never) else 'no'} {render_list(never, 'or')}"
    if often:
        habits = render_list(
            [f"{habit.name} in {_of_texts(habit.share_of_texts, profile)}" for habit in often]
        )
        return f"You like {habits}{'; ' + quiet if never else ''}."
    return f"Quiet punctuation: {quiet}." if never else "You use marks sparingly."


def _say_register(profile: VoiceProfile) -> str | None:
    if profile.formality is None:
        return None
    if profile.formality < CASUAL_BELOW:
        return "It sounds spoken: short words, and forms such as “I’m” or “you’ll”."
    if profile.formality >= WRITTEN_FROM:
        return "It sounds written, with care: full forms rather than “don’t”, and rather long words."
    return "It stands between talk and careful writing."


def _say_reading(profile: VoiceProfile) -> str | None:
    if profile.reading_grade is None or profile.plain_share is None:
        return None
    year = round(profile.reading_grade)
    ease = "Easy to read" if year <= 7 else "Not hard to read" if year <= 10 else "Demanding to read"
    plain = f"{render_percent(profile.plain_share)} of your words are among the 2,000 commonest in English"
    return f"{ease}: {plain}."


def _told(kinds: tuple[Opening, ...], words: dict[str, str], texts: int) -> list[Opening]:
    """Kinds that a quarter of the texts have."""
    return [kind for kind in kinds if kind.text in words and 4 * kind.texts >= texts]


def _of_texts(share: float, profile: VoiceProfile) -> str:
    """In tenths, since nobody counts on more; of a handful of texts, in texts."""
    if share >= _NEARLY_ALL:
        return "nearly all texts"
    if share < _HARDLY_ANY:
        return "hardly any text"
    if profile.texts < _HANDFUL:
        return f"{round(share * profile.texts)} of {profile.texts} texts"
    tenths = max(1, round(10 * share))
    return "half of the texts" if tenths == 5 else f"{tenths} of 10 texts"


def _texts_do(count: int, texts: int) -> str:
    share = count / texts
    if share >= _NEARLY_ALL:
        return "Nearly all texts"
    return "Most texts" if share > 0.5 else "Many texts"
