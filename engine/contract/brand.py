"""A brand's rules and its fact sheet, as they are stored and travel. Nothing here checks anything."""

from typing import Annotated, Literal

from pydantic import Field

from engine.contract.records import Record

MAX_WORDS_LISTED = 500
MAX_FACTS = 2_000
Word = Annotated[str, Field(min_length=1, max_length=60)]


class LengthBand(Record):
    """How long a kind of text may be. `kind` is what its prompts begin with; empty for every other text."""

    kind: Annotated[str, Field(max_length=120)] = ""
    least_words: Annotated[int, Field(ge=0)]
    most_words: Annotated[int, Field(ge=1)]
    least_characters: Annotated[int, Field(ge=0)]
    most_characters: Annotated[int, Field(ge=1)]


class BrandRules(Record):
    """What is None or empty is not checked."""

    length_bands: Annotated[tuple[LengthBand, ...], Field(max_length=50)] = ()
    words_we_use: Annotated[tuple[Word, ...], Field(max_length=MAX_WORDS_LISTED)] = ()
    words_we_never_use: Annotated[tuple[Word, ...], Field(max_length=MAX_WORDS_LISTED)] = ()
    """Found in their inflected forms too."""
    spelling: Literal["british", "american"] | None = None
    exclamation_marks_at_most: Annotated[int, Field(ge=0, le=100)] | None = None
    """In one text; 0 for never."""
    oxford_comma: Literal["always", "never"] | None = None
    emoji: Literal["never", "allowed"] | None = None
    reading_grade_at_most: Annotated[float, Field(ge=0, le=30)] | None = None
    """Flesch-Kincaid grade (Kincaid et al. 1975)."""
    facts_from_brief: bool = True
    """Numbers, prices, dates, names, addresses and links must stand in the prompt or the fact sheet."""


class Fact(Record):
    """One line of a project's fact sheet, such as "Delivery" and "3 to 5 working days"."""

    name: Annotated[str, Field(max_length=200)]
    value: Annotated[str, Field(max_length=2_000)]


class Brand(Record):
    """All that a project knows of its brand besides examples."""

    rules: BrandRules = BrandRules()
    facts: Annotated[tuple[Fact, ...], Field(max_length=MAX_FACTS)] = ()
