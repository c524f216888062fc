"""Work that a page must not wait for: it runs beside the page, tells how far it is, and is fetched when done.

Does not know what the work is, nor how progress is shown.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")
Tell = Callable[[str, float], None]
"""Called by the work: what is being done, and which share of all is behind it, 0 to 1."""

# Two people may each read a table; a third waits his turn rather than slow both.
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="background")


class Job(Generic[Result]):
    """One piece of work that has been handed over; `stage` and `share` change while it runs."""

    def __init__(self, work: Callable[[Tell], Result]) -> None:
        self.stage = "Waiting for another table to be read"
        self.share = 0.0
        self._future: Future[Result] = _pool.submit(work, self._tell)

    @property
    def is_done(self) -> bool:
        return self._future.done()

    def finishes_within(self, seconds: float) -> bool:
        """Wait at most so long; whether it is done then."""
        return bool(wait([self._future], seconds).done)

    def result(self) -> Result:
        """What the work gave, or the error it ended with; waits if it is not done."""
        return self._future.result()

    def _tell(self, stage: str, share: float) -> None:
        self.stage, self.share = stage, min(max(share, 0.0), 1.0)
