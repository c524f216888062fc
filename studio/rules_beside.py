"""The rules of a brand held against many examples by processes of their own, while this one examines them.

    python -m studio.rules_beside       stdin: one Task as JSON; stdout: its Breaches as JSON

Reading texts keeps a core busy, and a thread would share this one's. Does not know what a rule is
(`brand.py`).
"""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.contract.brand import Brand
from engine.contract.records import Example, Finding, Record
from studio.brand import Breaches, check_examples_by_rules, conclude, find_breaches, has_briefs

_FEW = 1_500
"""So many are read about as soon as a process starts."""
_PROCESSES = 2
# -P: a folder named studio where the person started us is not ours.
_COMMAND = [sys.executable, "-P", "-m", "studio.rules_beside"]


class Task(Record):
    brand: Brand
    examples: list[Example]
    has_briefs: bool


def check_by_rules_beside(examples: Sequence[Example], brand: Brand) -> list[Finding]:
    """What `check_examples_by_rules` gives; a thread may wait for it without holding up others."""
    if len(examples) <= _FEW:
        return check_examples_by_rules(examples, brand)
    size = -(-len(examples) // _PROCESSES)
    tasks = [
        Task(brand=brand, examples=list(examples[first : first + size]), has_briefs=has_briefs(examples))
        for first in range(0, len(examples), size)
    ]
    with ThreadPoolExecutor(_PROCESSES, "rules") as pool:
        return conclude(list(pool.map(_do_beside, tasks)), brand)


def _do_beside(task: Task) -> Breaches:
    done = subprocess.run(
        _COMMAND, input=task.model_dump_json().encode(), stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        # Killed for memory, say: then here, and slower.
        return _do(task)
    return Breaches.model_validate_json(done.stdout)


def _do(task: Task) -> Breaches:
    return find_breaches(task.examples, task.brand, task.has_briefs)


def main() -> None:
    task = Task.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(_do(task).model_dump_json().encode())


if __name__ == "__main__":
    main()
