"""A brand's rules as a form, and a place to try them on any text. Checks nothing itself."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from engine.contract.brand import Brand, BrandRules, LengthBand
from studio.brand import check_text
from studio.ui.text import escape

NOT_CHECKED = "Not checked"
SPELLING = {
    NOT_CHECKED: None,
    "British (colour, organise)": "british",
    "American (color, organize)": "american",
}
COMMA = {NOT_CHECKED: None, "Always: red, white, and blue": "always", "Never: red, white and blue": "never"}
EMOJI = {NOT_CHECKED: None, "Never": "never", "Allowed": "allowed"}
BAND_COLUMNS = {
    "kind": "Texts asked for with",
    "least_words": "From words",
    "most_words": "To words",
    "least_characters": "From characters",
    "most_characters": "To characters",
}


def show_rules_form(rules: BrandRules, key: str) -> BrandRules | None:
    """The rules as the form has them now; None after saying what cannot be kept."""
    bands = _ask_lengths(rules, key)
    left, right = st.columns(2)
    with left:
        use = _ask_words("Words we use", rules.words_we_use, key)
        spelling = _ask_one("Spelling", SPELLING, rules.spelling, key)
        comma = _ask_one("Comma before the last “and” of a list", COMMA, rules.oxford_comma, key)
    with right:
        never = _ask_words("Words we never use", rules.words_we_never_use, key)
        emoji = _ask_one("Emoji", EMOJI, rules.emoji, key)
        exclamations = st.number_input(
            "Exclamation marks in one text, at most",
            0,
            100,
            rules.exclamation_marks_at_most,
            1,
            key=f"exclamations-{key}",
            placeholder=NOT_CHECKED,
        )
    grade = st.number_input(
        "Hardest reading level, as a school year",
        0.0,
        30.0,
        rules.reading_grade_at_most,
        1.0,
        "%.0f",
        key=f"grade-{key}",
        placeholder=NOT_CHECKED,
        help="The year of school in which most people can read it with ease (Flesch-Kincaid grade).",
    )
    facts = st.toggle(
        "Facts must stand in the prompt or in the fact sheet", rules.facts_from_brief, key=f"rule-facts-{key}"
    )
    return _build(
        length_bands=bands,
        words_we_use=use,
        words_we_never_use=never,
        spelling=spelling,
        exclamation_marks_at_most=exclamations,
        oxford_comma=comma,
        emoji=emoji,
        reading_grade_at_most=grade,
        facts_from_brief=facts,
    )


def show_trial(brand: Brand) -> None:
    """Any text held against the rules as they stand in the form."""
    st.subheader("Try it on a text", anchor=False)
    text = st.text_area(
        "A text", key="trial-text", height=110, placeholder="Paste something your brand wrote."
    )
    prompt = st.text_input("What was asked for", key="trial-prompt", placeholder="May stay empty.")
    if not text.strip():
        return
    remarks = check_text(text, brand, prompt)
    if not remarks:
        st.markdown(":material/check: Nothing in it breaks a rule.")
    for remark in remarks:
        st.markdown(f"- {escape(remark.message)}")


def _build(**fields: Any) -> BrandRules | None:
    try:
        return BrandRules.model_validate(fields)
    except ValidationError as error:
        where = str(error.errors()[0]["loc"][0]).replace("_", " ")
        st.warning(
            f"The rule “{where}” cannot be kept as it is: a word may have up to 60 characters, and a list up "
            "to 500 words.",
            icon=":material/info:",
        )
        return None


def _ask_lengths(rules: BrandRules, key: str) -> tuple[LengthBand, ...]:
    st.markdown("**Length**")
    st.caption("One line for each kind of text. The line without words holds for every other text.")
    frame = pd.DataFrame(
        [[getattr(band, field) for field in BAND_COLUMNS] for band in rules.length_bands],
        columns=list(BAND_COLUMNS.values()),
    ).astype({name: "Int64" for field, name in BAND_COLUMNS.items() if field != "kind"})
    edited = st.data_editor(
        frame, num_rows="dynamic", hide_index=True, key=f"lengths-{key}", alt="Length of each kind of text"
    )
    rows = edited.dropna(subset=list(BAND_COLUMNS.values())[1:]).to_dict("records")
    return tuple(_read_band(row) for row in rows if _is_band(row))


def _is_band(row: dict[Any, Any]) -> bool:
    return all(
        0 <= int(row[BAND_COLUMNS[low]]) <= int(row[BAND_COLUMNS[high]]) and int(row[BAND_COLUMNS[high]]) >= 1
        for low, high in (("least_words", "most_words"), ("least_characters", "most_characters"))
    )


def _read_band(row: dict[Any, Any]) -> LengthBand:
    kind = row[BAND_COLUMNS["kind"]]
    sizes = {field: int(row[name]) for field, name in BAND_COLUMNS.items() if field != "kind"}
    return LengthBand(kind="" if pd.isna(kind) else str(kind)[:120], **sizes)


def _ask_words(label: str, words: Sequence[str], key: str) -> tuple[str, ...]:
    text = st.text_area(
        label,
        ", ".join(words),
        key=f"{label}-{key}",
        height=110,
        help="With commas between them. Other forms of a word are found too.",
    )
    found = (word.strip() for line in text.splitlines() for word in line.split(","))
    return tuple(dict.fromkeys(word for word in found if word))


def _ask_one(label: str, choices: dict[str, str | None], value: str | None, key: str) -> str | None:
    names = list(choices)
    return choices[
        st.selectbox(label, names, index=list(choices.values()).index(value), key=f"{label}-{key}")
    ]
