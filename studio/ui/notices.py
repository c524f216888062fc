"""How a page says that something went wrong, or that something is missing: where it happened, what is safe,
and the one button that helps. Knows failures and words, not what caused them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from engine.contract.failures import EngineFailure, Failure
from studio.navigation import PageName, page
from studio.ui.session import engine
from studio.ui.text import escape

RETRY_SECONDS = 3.0
log = logging.getLogger("voicewright.studio")

UNEXPECTED = Failure(
    code="unexpected",
    what_happened="Something went wrong while showing this page.",
    what_you_have="Your voices, examples and runs are kept by the engine and are not affected.",
    what_to_do="Try again. If it stays, go back to your voices.",
)


@contextmanager
def guard() -> Iterator[None]:
    """Around a page or a fragment: whatever fails inside becomes a calm notice in its place."""
    try:
        yield
    except EngineFailure as error:
        show_failure(error.failure)
    except Exception:
        log.exception("a page failed")
        show_failure(UNEXPECTED)


def show_failure(failure: Failure) -> None:
    """In place of a page: what happened, what you have, what to do; *Try again* keeps all that was typed."""
    if failure.code == "engine_unreachable":
        _show_engine_away(failure)
        return
    say(failure)
    st.button("Try again", key=f"retry-{failure.code}")


def say(failure: Failure) -> None:
    """Beside the button that failed, which is still there to be pressed again."""
    st.warning(describe(failure), icon=":material/info:")


def describe(failure: Failure) -> str:
    """A failure as Markdown: the event in bold, then the rest."""
    rest = " ".join(escape(part) for part in (failure.what_you_have, failure.what_to_do) if part)
    return f"**{escape(failure.what_happened)}** {rest}".strip()


def _show_engine_away(failure: Failure) -> None:
    st.subheader("One moment", anchor=False)
    st.markdown(describe(failure))
    st.button("Try again", type="primary", key="retry-engine")
    _return_when_back()


@st.fragment(run_every=RETRY_SECONDS)
def _return_when_back() -> None:
    try:
        engine().projects()
    except EngineFailure:
        st.caption("This page looks again every few seconds and comes back by itself.")
    else:
        st.rerun()


def show_missing(title: str, sentence: str, label: str, to: PageName, query: dict[str, str]) -> None:
    """A page that cannot be used yet: why, and the one button to where that is mended. Ends the page."""
    st.title(title, anchor=False)
    with st.container(key="lead-missing"):
        st.markdown(sentence)
    if st.button(label, type="primary", key="mend"):
        st.switch_page(page(to), query_params=query)
    st.stop()


def attempt(work: Callable[[], object]) -> bool:
    """Do one thing for a click; True if it was done, else the failure is said right here."""
    try:
        work()
    except EngineFailure as error:
        say(error.failure)
        return False
    return True
