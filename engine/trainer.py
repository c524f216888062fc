"""The trainer's process: loads what every run needs, waits on its stdin for its run, and trains it.

    python -m engine.trainer WORKSPACE

The workspace is named for whoever looks for trainers of an engine that is gone. With the order come two open
files: the run's lock, held from then on, and the run's log, into which all words go. One that is started for
a run finds its order waiting and begins at once. Does not know how a run is trained.
"""

import os

from engine.processes import hears_something, receive
from engine.readiness import get_ready
from engine.run_files import Assignment
from engine.workspace import RunFolder

READY = "ready"


def main() -> None:
    if get_ready(enough=hears_something):
        print(READY)
        _prepare_answers()
    order = receive(most=2)
    if order is None:
        return
    words, (_, log) = order
    assignment = Assignment.model_validate_json(words)
    settle_in(assignment, log)

    # Here, because it brings torch: loading is the matter of `get_ready`.
    from engine.training import train

    train(RunFolder(assignment.run_folder), assignment.ordered_at)


def _prepare_answers() -> None:
    """While nothing is going on: otherwise the first answer of all would wait for the compiler."""
    from engine.decode_kernels import start_compiling

    start_compiling()


def settle_in(assignment: Assignment, log: int) -> None:
    """Work in the run's folder, as if started there."""
    os.chdir(assignment.run_folder)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)


if __name__ == "__main__":
    main()
