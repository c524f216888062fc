"""Work of some seconds on a page: at once if it is small, else beside the page, with how far it is.

Results are remembered in the tab under their key, the last few of them, so that a click does not do the work
again. Does not know what the work is.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from engine.contract.failures import EngineFailure
from studio.background import Job, Tell
from studio.ui.session import recall, remember

Result = TypeVar("Result")
LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 0.5
"""What is done by then needs no progress bar, and no drawing of the page anew."""
_KEPT = 8
_OF_THE_FILE = ("bad_request", "too_many_examples")


def wait_for(key: str, work: Callable[[Tell], Result], is_small: bool, says: str) -> Result:
    """What `work` gives, done once for a key. While large work goes on beside the page, the page ends here.

    A refusal is remembered like a result, so that the buttons below it answer; what may pass is tried again.
    """
    jobs: dict[str, Job[Result]] = recall("jobs", {})
    job = jobs.get(key) or Job(work)
    remember("jobs", dict([*((name, one) for name, one in jobs.items() if name != key), (key, job)][-_KEPT:]))
    if not is_small and not job.finishes_within(PATIENCE_SECONDS):
        _show_progress(job)
        st.stop()
    try:
        with st.spinner(says):
            return job.result()
    except EngineFailure as error:
        if error.failure.code not in _OF_THE_FILE:
            _forget(key)
        raise
    except Exception:
        _forget(key)
        raise


def _forget(key: str) -> None:
    remember("jobs", {name: job for name, job in recall("jobs", {}).items() if name != key})


@st.fragment(run_every=LOOK_SECONDS)
def _show_progress(job: Job[Any]) -> None:
    if job.is_done:
        st.rerun()
    st.progress(job.share, f"{job.stage} …")
    st.caption("A large table takes a few seconds. Nothing is changed or kept meanwhile.")
