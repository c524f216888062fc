"""Examples: what a brand wrote is read, checked, mended, shown as the model reads it, and kept."""

from collections.abc import Sequence

import streamlit as st

from engine.contract.brand import Brand
from engine.contract.records import (
    MAX_EXAMPLES,
    MAX_NAME_CHARACTERS,
    MIN_EXAMPLES,
    Columns,
    Dataset,
    Example,
    Finding,
    NewDataset,
)
from studio.against_model import check_against_model
from studio.base_models import find_model
from studio.checkup import Checkup, check_up
from studio.draft import Draft
from studio.examples import build_examples
from studio.findings import sort_findings
from studio.language import load_ahead
from studio.navigation import page
from studio.numbering import number_rows
from studio.sources import Source
from studio.ui.actions import show_main_button
from studio.ui.doctor import show_doctor
from studio.ui.findings import show_findings
from studio.ui.grid import show_grid, show_rows_of
from studio.ui.intake import bring, has_sample, read_or_explain, show_first_words, show_sample_offer
from studio.ui.kept import load_kept
from studio.ui.models import model_in_use
from studio.ui.notices import attempt
from studio.ui.reading import show_reading
from studio.ui.session import engine, forget, recall, remember
from studio.ui.stepper import OpenProject, open_project
from studio.ui.tables import choose_columns, show_amount, show_split
from studio.ui.text import clean, escape
from studio.ui.versions import show_versions
from studio.ui.waiting import wait_for
from studio.wording import render_count

SMALL_EXAMPLES = 1_500
EDITED = "Edited by hand"
NO_BRAND = Brand()


def open_draft(key: str, examples: Sequence[Example]) -> Draft:
    """What was made of these examples in this tab so far."""
    draft: Draft = recall(key) or Draft(tuple(number_rows(examples)))
    remember(key, draft)
    return draft


def examine(opened: OpenProject, draft: Draft) -> Checkup:
    """All checks of the draft as it is now, done once for each of its states and of the brand's rules."""
    client, brand = engine(), engine().brand(opened.project.id)
    models = client.models()
    base_model = model_in_use(opened, models)
    info = find_model(models, base_model)
    model_state = info.fingerprint or info.problem if info else ""
    return wait_for(
        f"checkup-{draft.id}-{base_model}-{model_state}-{brand.model_dump_json()}",
        lambda tell: check_up(
            draft.examples,
            lambda found: check_against_model(client, base_model, found),
            brand if brand != NO_BRAND else None,
            tell,
        ),
        len(draft.examples) < SMALL_EXAMPLES,
        "Checking your examples …",
    )


def work_on(
    opened: OpenProject, draft: Draft, checkup: Checkup, key: str, also_found: Sequence[Finding] = ()
) -> None:
    """The doctor, the rows and what the model reads; a change is remembered and the page drawn anew."""
    checked = Draft(checkup.examples, draft.changes, draft.id)
    findings = sort_findings([*also_found, *checkup.findings])
    changed = show_doctor(checked, findings, key, lambda finding: show_rows_of(finding, checked, key))
    if changed is not checked:
        remember(key, changed)
        st.rerun()
    held_out = sum(example.split == "validation" for example in checkup.examples)
    show_split(len(checkup.examples) - held_out, held_out)
    show_amount(checkup.amount)
    show_grid(checked, findings, key)
    with st.expander("Exactly what the model reads", icon=":material/text_snippet:"):
        show_reading(checkup.examples, model_in_use(opened, engine().models()))


def review(opened: OpenProject, source: Source) -> None:
    """From what was brought to the one button that keeps the examples."""
    table = read_or_explain(source)
    if table is None:
        return
    columns = choose_columns(table, f"{source.key}-{table.sheet}")
    built, found = wait_for(
        f"built-{source.key}-{table.sheet}-{columns.model_dump_json()}",
        lambda tell: build_examples(table, columns),
        len(table.rows) < SMALL_EXAMPLES,
        "Reading your rows …",
    )
    earlier = choose_earlier(opened)
    key = f"draft-{source.key}-{table.sheet}-{columns.model_dump_json()}-{len(earlier)}"
    draft = open_draft(key, [*earlier, *built])
    if not draft.examples:
        show_findings(sort_findings(found))
        offer_to_keep(opened, source.name, columns, ())
        return
    checkup = examine(opened, draft)
    work_on(opened, draft, checkup, key, found)
    offer_to_keep(opened, source.name, columns, checkup.examples)


def choose_earlier(opened: OpenProject) -> list[Example]:
    """The examples that new ones come on top of: none, or those of the version before."""
    if opened.dataset is None:
        return []
    replace = "Replace the examples that are there"
    choice = st.radio("These examples shall", [replace, "Come on top of them"], label_visibility="collapsed")
    return [] if choice == replace else load_kept(opened.dataset)


def keep(opened: OpenProject, name: str, columns: Columns, examples: Sequence[Example]) -> None:
    dataset = NewDataset(
        source_name=clean(name)[-MAX_NAME_CHARACTERS:], columns=columns, examples=list(examples)
    )
    engine().create_dataset(opened.project.id, dataset)


def offer_to_keep(opened: OpenProject, name: str, columns: Columns, examples: Sequence[Example]) -> None:
    enough = MIN_EXAMPLES <= len(examples) <= MAX_EXAMPLES
    label = f"Use these {render_count(len(examples), 'example')}" if enough else "Use these examples"
    needed = (
        f"It takes between {MIN_EXAMPLES} and {MAX_EXAMPLES:,} usable examples; there are {len(examples):,}."
    )
    note = f"From {escape(name)}. Nothing is tuned yet." if enough else needed
    if show_main_button(label, note, disabled=not enough) and attempt(
        lambda: keep(opened, name, columns, examples)
    ):
        forget(f"sample-{opened.project.id}")
        st.switch_page(page("method"), query_params=opened.address())


def show_kept(dataset: Dataset) -> None:
    """The examples this voice has now."""
    count = dataset.examples_train + dataset.examples_validation
    with st.container(key="lead-kept"):
        st.markdown(
            f"{render_count(count, 'example')} from {escape(dataset.source_name)}, ready to learn from."
        )
    st.caption(
        f"Version {dataset.version} of this voice’s examples. Earlier runs keep the version they learnt from."
    )


def edit_kept(opened: OpenProject, dataset: Dataset) -> None:
    """The kept examples can be checked and mended like new ones; what is changed becomes a new version."""
    key = f"draft-{dataset.id}"
    draft = open_draft(key, load_kept(dataset))
    show_other_doors(opened)
    checkup = examine(opened, draft)
    work_on(opened, draft, checkup, key)
    show_versions(opened)
    if not draft.changes:
        go_on(opened)
        return
    note = f"Keeps what you changed as version {opened.datasets[0].version + 1}."
    enough = MIN_EXAMPLES <= len(checkup.examples) <= MAX_EXAMPLES
    if show_main_button("Keep the changes", note, disabled=not enough) and attempt(
        lambda: keep(opened, EDITED, dataset.columns, checkup.examples)
    ):
        forget(key)
        st.rerun()


def show_other_doors(opened: OpenProject) -> None:
    st.page_link(
        page("brand"),
        label="How your brand sounds: its voice, rules and facts",
        icon=":material/record_voice_over:",
        query_params=opened.address(),
    )


def go_on(opened: OpenProject) -> None:
    if show_main_button("Choose a method", "Next: how the model shall learn from them."):
        st.switch_page(page("method"), query_params=opened.address())


def start_with_examples(opened: OpenProject) -> None:
    """The page of a voice without examples: a table, or the sample."""
    show_first_words(has_sample(opened))
    if has_sample(opened):
        with st.expander("Use a table of your own instead"):
            chosen = bring(opened)
    else:
        chosen = bring(opened)
    if chosen:
        review(opened, chosen)
    else:
        show_sample_offer(opened)


def show_examples(opened: OpenProject, dataset: Dataset) -> None:
    """The page of a voice with examples; another table can replace them or come on top."""
    show_kept(dataset)
    with st.expander("Replace or add examples"):
        chosen = bring(opened)
    if chosen:
        review(opened, chosen)
    else:
        edit_kept(opened, dataset)


load_ahead()
opened = open_project("examples")
st.title("Your examples", anchor=False)
if opened.dataset is None:
    start_with_examples(opened)
else:
    show_examples(opened, opened.dataset)
