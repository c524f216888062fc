"""Download: the voice as one standard file, offered only after it has been opened and tried."""

import shlex

import streamlit as st

from engine.contract.records import BUNDLED_MODEL, Estimate, Export, Run
from studio.glossary import explain
from studio.journey import finished_runs
from studio.progress import render_gain
from studio.ui.notices import attempt, describe, guard
from studio.ui.runs import choose_run
from studio.ui.session import engine
from studio.ui.stepper import open_project
from studio.ui.text import escape, show_text
from studio.wording import render_bytes, render_duration, render_duration_range

LOOK_SECONDS = 1.0
CONTENTS = {
    False: ("Adapter only", "For whoever has the base model, or gets it from this studio."),
    True: ("With its base model", "Works offline anywhere; nothing else is needed."),
}
"""By whether the base model is inside: the choice, and whom it is for."""
BUILDING = {
    "building": "Putting the download together …",
    "checking": "Checking it: a fresh program opens your download with the standard libraries "
    "and must give the same answer. This takes about half a minute.",
}
ADAPTER_LINES = "\n".join(
    (
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "adapter")',
        'tokenizer = AutoTokenizer.from_pretrained("adapter")',
    )
)
MODEL_LINES = "\n".join(
    (
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = AutoModelForCausalLM.from_pretrained("model")',
        'tokenizer = AutoTokenizer.from_pretrained("model")',
    )
)
BASE_LINE = "- **base**: the untouched base model\n"
ASK_LINES = """
prompt = tokenizer.apply_chat_template([{"role": "user", "content": "…"}], add_generation_prompt=True,
                                       return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=160)[0]))"""


def get_export(run: Run) -> Export:
    """Where the download stands; the first visit has it made."""
    export = engine().export(run.id)
    return engine().start_export(run.id) if export.state == "none" else export


def show_building(run: Run, seen: Export) -> None:
    with guard():
        export = engine().export(run.id)
        if export.state != seen.state:
            st.rerun()
        with st.container(key="lead-building"):
            st.markdown(BUILDING[export.state])
        st.caption("You can leave this page; it goes on by itself.")
        st.skeleton(height=40, width=320)


def show_failed(run: Run, export: Export) -> None:
    words = describe(export.failure) if export.failure else "**The download could not be made.**"
    st.warning(words, icon=":material/info:")
    if st.button("Make it again", type="primary") and attempt(lambda: engine().start_export(run.id)):
        st.rerun()


def is_whole(run: Run) -> bool:
    """Whether a whole model is downloaded, which needs no base beside it."""
    return run.recipe.method == "all-layers"


def choose_content(run: Run, export: Export) -> bool:
    """Whether the base model is included: the adapter alone, unless the person says otherwise."""
    if is_whole(run):
        return export.includes_base
    # A label must not change while it is chosen, so the size, first counted and then measured, stands below.
    return st.radio(
        "What to include",
        list(CONTENTS),
        index=int(export.includes_base),
        format_func=lambda with_base: CONTENTS[with_base][0],
        captions=[f"{say_size(run, export, one)}{sentence}" for one, (_, sentence) in CONTENTS.items()],
        key=f"content-{run.id}-{export.includes_base}",
        help=explain("adapter"),
    )


def say_size(run: Run, export: Export, with_base: bool) -> str:
    """ "20 MB. ": measured once it is made, worked out before."""
    size = export.bytes if export.includes_base == with_base and export.state == "ready" else None
    size = size or estimate_bytes(run.estimate, with_base)
    return f"{render_bytes(size)}. " if size else ""


def estimate_bytes(estimate: Estimate | None, with_base: bool) -> int | None:
    """Estimates of earlier versions counted the base into the download."""
    if estimate is None:
        return None
    whole = estimate.download_with_base_bytes or estimate.download_bytes
    return whole if with_base else estimate.adapter_bytes


def offer_other(run: Run, with_base: bool) -> None:
    """The choice differs from what is there: have it made, which replaces the other."""
    st.caption("It is put together and checked in about a minute, and takes the place of the other.")
    label = "Make it with its base model" if with_base else "Make it without its base model"
    if st.button(label, type="primary") and attempt(lambda: engine().start_export(run.id, with_base)):
        st.rerun()


def show_ready(run: Run, export: Export) -> None:
    with st.container(key="lead-ready"):
        st.markdown(
            "A fresh program opened your download with the standard libraries "
            "and gave the same answer, word for word."
        )
    size = f" ({render_bytes(export.bytes)})" if export.bytes else ""
    st.link_button(
        f"Download the voice{size}", f"/download/{run.id}", type="primary", icon=":material/download:"
    )
    if export.checked_with:
        st.caption(f"Checked with {escape(export.checked_with)}.", help=explain("download"))


def show_figures(run: Run) -> None:
    st.subheader("What it is worth", anchor=False)
    if gain := render_gain(run.validation_loss_base, run.validation_loss):
        st.markdown(f"Reading your held-out texts, it is {gain}.")
    if run.estimate and run.seconds is not None:
        st.markdown(render_against_estimate(run, run.estimate))


def render_against_estimate(run: Run, estimate: Estimate) -> str:
    took = render_duration(run.seconds or 0)
    memory = render_bytes(run.peak_memory_bytes or 0)
    return (
        f"It took {took}; said before: {render_duration_range(estimate.seconds_range)}. "
        f"It needed {memory} of memory; said before: {render_bytes(estimate.peak_memory_bytes)}."
    )


def show_content(run: Run, with_base: bool) -> None:
    st.subheader("What is inside", anchor=False)
    learnt = (
        "**model**: the whole tuned model, with its tokenizer and chat template"
        if is_whole(run)
        else "**adapter**: what was learnt, with tokenizer and chat template"
    )
    base = BASE_LINE if with_base else ""
    st.markdown(
        f"- {learnt}\n{base}"
        "- **samples.csv**: held-out prompts, answered before and after, beside your own text\n"
        "- **README.md**: how it was made, from which examples, how to use it, and every way to its base",
        help=explain("adapter"),
    )


def show_lines(run: Run, with_base: bool) -> None:
    st.subheader("How an engineer uses it", anchor=False)
    st.caption(
        "With the standard libraries, inside the unpacked folder. The README has a version that runs as is."
    )
    base = "base" if with_base else "FOLDER_OF_THE_BASE_MODEL"
    opening = MODEL_LINES if is_whole(run) else ADAPTER_LINES.format(base=base)
    st.code(opening + ASK_LINES, language=None)
    if not (with_base or is_whole(run)):
        st.caption("The base model as a folder, from a terminal:")
        st.code(export_line(run), language=None)


def export_line(run: Run) -> str:
    name = run.recipe.base_model
    option = "" if name == BUNDLED_MODEL else f" --model {shlex.quote(name)}"
    return f"voicewright models export FOLDER_OF_THE_BASE_MODEL{option}"


def show_proof(export: Export) -> None:
    if not (export.reference_prompt and export.reference_answer):
        return
    with st.expander("The answer it gave in the check"):
        st.caption("Asked")
        show_text(export.reference_prompt, key="reference-prompt")
        st.caption("Answered, before packing and after opening")
        show_text(export.reference_answer, key="reference-answer")


opened = open_project("download")
st.title("Take it with you", anchor=False)
run = choose_run(finished_runs(opened.runs), opened.run, "Which run")
export = get_export(run)
with_base = choose_content(run, export)
if with_base != export.includes_base:
    offer_other(run, with_base)
elif export.state == "ready":
    show_ready(run, export)
elif export.state == "failed":
    show_failed(run, export)
else:
    st.fragment(show_building, run_every=LOOK_SECONDS)(run, export)
st.space("small")
show_figures(run)
show_content(run, with_base)
show_lines(run, with_base)
show_proof(export)
