"""Brand: how the examples sound, the rules they keep, and the facts a text may name."""

import pandas as pd
import streamlit as st

from engine.contract.brand import Brand, BrandRules, Fact
from engine.contract.failures import EngineFailure
from engine.contract.records import Dataset, Example
from studio.brand_reasons import explain_suggestions
from studio.brand_suggestions import suggest_rules
from studio.fact_sheet import read_facts
from studio.files import FILE_TYPES, read_file
from studio.navigation import page
from studio.ui.actions import show_main_button
from studio.ui.kept import is_small, load_kept
from studio.ui.notices import attempt, say, show_missing
from studio.ui.rules import show_rules_form, show_trial
from studio.ui.session import engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.text import escape
from studio.ui.voice_charts import (
    draw_favourites,
    draw_habits,
    draw_sentence_lengths,
    draw_text_lengths,
    show_voice_chart,
)
from studio.ui.waiting import wait_for
from studio.upload_limit import TABLE_MEGABYTES
from studio.voice_profile import VoiceProfile, describe_voice
from studio.voice_summary import summarise_voice

CHARTS = (
    ("How long your sentences are", draw_sentence_lengths),
    ("How long your texts are", draw_text_lengths),
    ("Words you use more than others do", draw_favourites),
    ("Habits, by the share of texts that show them", draw_habits),
)


def show_voice(dataset: Dataset, examples: list[Example]) -> None:
    """What the examples sound like, in a few sentences and pictures."""
    profile: VoiceProfile = wait_for(
        f"voice-{dataset.id}",
        lambda tell: describe_voice([example.completion for example in examples]),
        is_small(dataset),
        "Reading your texts …",
    )
    with st.container(key="lead-voice"):
        for sentence in summarise_voice(profile):
            st.markdown(escape(sentence))
    grid = st.grid(2, min_column_width=320, gap="medium")
    for number, (title, draw) in enumerate(CHARTS):
        with grid.cell():
            st.markdown(f"**{title}**")
            show_voice_chart(draw(profile), key=f"voice-chart-{number}")


def rules_now(project_id: str, saved: Brand) -> BrandRules:
    """What the form starts from: filled in a moment ago, or as they were kept."""
    filled: BrandRules | None = recall(f"filled-rules-{project_id}")
    return filled or saved.rules


def fill_in(project_id: str, dataset: Dataset, examples: list[Example]) -> None:
    """Rules read off the examples into the form, which is drawn anew."""
    rules = wait_for(
        f"rules-of-{dataset.id}",
        lambda tell: suggest_rules(examples),
        is_small(dataset),
        "Reading your texts …",
    )
    remember(f"filled-rules-{project_id}", rules)
    remember(f"rules-form-{project_id}", recall(f"rules-form-{project_id}", 0) + 1)
    forget(f"fill-in-{project_id}")
    st.rerun()


def show_rules(
    opened: OpenProject, saved: Brand, dataset: Dataset, examples: list[Example]
) -> BrandRules | None:
    """The rules, to be filled in from the examples with one click and then changed."""
    project_id = opened.project.id
    st.markdown("What every text of yours keeps to. Examples and answers are held against these rules.")
    if st.button("Fill in from your examples", icon=":material/auto_fix_high:"):
        remember(f"fill-in-{project_id}", True)
    if recall(f"fill-in-{project_id}"):
        fill_in(project_id, dataset, examples)
    start = rules_now(project_id, saved)
    rules = show_rules_form(start, f"{project_id}-{recall(f'rules-form-{project_id}', 0)}")
    if start != BrandRules():
        reasons = wait_for(
            f"reasons-{dataset.id}-{start.model_dump_json()}",
            lambda tell: explain_suggestions(examples, start),
            is_small(dataset),
            "Holding your rules against your texts …",
        )
        with st.expander("What your examples say to each rule", icon=":material/info:"):
            for reason in reasons:
                st.markdown(f"- {escape(reason.text)}")
    return rules


def show_facts(opened: OpenProject, saved: Brand) -> list[Fact]:
    """The fact sheet: what a text may name without its prompt naming it."""
    key = f"facts-{opened.project.id}"
    st.markdown(
        "Prices, names, links and dates that are true of your brand. What a text names, and neither its "
        "prompt nor this sheet has, is marked “not in your brief”."
    )
    facts: list[Fact] = recall(key, list(saved.facts))
    facts = bring_facts(facts, key)
    frame = pd.DataFrame(
        {"About": [fact.name for fact in facts], "What is true": [fact.value for fact in facts]}, dtype="str"
    )
    edited = st.data_editor(
        frame,
        num_rows="dynamic",
        hide_index=True,
        key=f"{key}-{len(facts)}",
        column_config={"What is true": st.column_config.TextColumn(width="large")},
        alt="The facts, one per row",
    )
    rows = edited.fillna("").to_dict("records")
    return [
        Fact(name=str(row["About"]).strip()[:200], value=str(row["What is true"]).strip()[:2000])
        for row in rows
        if str(row["What is true"]).strip()
    ]


def bring_facts(facts: list[Fact], key: str) -> list[Fact]:
    """The facts with those of a small table on top, once for each file."""
    with st.expander("Bring them from a table", icon=":material/upload_file:"):
        uploaded = st.file_uploader(
            "A table with two columns: what it is about, and what is true",
            type=list(FILE_TYPES),
            max_upload_size=TABLE_MEGABYTES,
            key=f"upload-{key}",
        )
    if uploaded is None or recall(f"{key}-file") == uploaded.file_id:
        return facts
    try:
        facts = [*facts, *read_facts(read_file(uploaded.getvalue(), uploaded.name))]
    except EngineFailure as error:
        say(error.failure)
        return facts
    remember(key, facts)
    remember(f"{key}-file", uploaded.file_id)
    return facts


def keep(opened: OpenProject, brand: Brand) -> None:
    project_id = opened.project.id
    if attempt(lambda: engine().save_brand(project_id, brand)):
        forget(f"filled-rules-{project_id}")
        forget(f"facts-{project_id}")
        st.toast("Kept. Your examples are now held against these rules.", icon=":material/check:")
        st.rerun()


def show_brand(opened: OpenProject, dataset: Dataset) -> None:
    saved, examples = engine().brand(opened.project.id), load_kept(dataset)
    voice, rules_tab, facts_tab = st.tabs(["The voice", "Rules", "Facts"])
    with voice:
        show_voice(dataset, examples)
    with facts_tab:
        facts = show_facts(opened, saved)
    with rules_tab:
        rules = show_rules(opened, saved, dataset, examples)
        brand = Brand(rules=rules, facts=tuple(facts)) if rules else None
        if brand:
            show_trial(brand)
    is_changed = brand is not None and brand != saved
    note = "Nothing is changed in your texts." if is_changed else "Change a rule or a fact to keep it."
    if show_main_button("Keep rules and facts", note, disabled=not is_changed) and brand:
        keep(opened, brand)


opened = open_project("examples")
if opened.dataset is None:
    show_missing(
        "How your brand sounds",
        "This is read from your examples, and there are none yet.",
        "Go to Examples",
        "examples",
        opened.address(),
    )
else:
    st.page_link(
        page("examples"),
        label="Back to your examples",
        icon=":material/arrow_back:",
        query_params=opened.address(),
    )
    st.title("How your brand sounds", anchor=False)
    show_brand(opened, opened.dataset)
