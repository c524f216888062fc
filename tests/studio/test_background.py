"""Background work: the page goes on meanwhile, sees how far it is, and gets the result or the reason."""

import threading

import pytest

from engine.contract.failures import EngineFailure
from studio.background import Job, Tell


def test_a_page_sees_how_far_the_work_is_without_waiting_for_it() -> None:
    told, go_on = threading.Event(), threading.Event()

    def work(tell: Tell) -> int:
        tell("Reading", 0.25)
        told.set()
        go_on.wait(10)
        tell("Checking", 7.0)
        return 42

    job = Job(work)
    assert told.wait(10)
    assert (job.is_done, job.stage, job.share) == (False, "Reading", 0.25)
    assert not job.finishes_within(0.05)
    go_on.set()
    assert job.finishes_within(10)
    assert job.result() == 42
    assert (job.is_done, job.stage, job.share) == (True, "Checking", 1.0)


def test_what_went_wrong_arrives_where_the_result_is_fetched() -> None:
    def work(tell: Tell) -> int:
        raise EngineFailure("bad_request", "This is a picture.")

    with pytest.raises(EngineFailure, match="picture"):
        Job(work).result()
