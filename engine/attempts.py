"""One attempt at a run, seen from outside: its order, its process, what it is told, how it may have died.

Knows the files and the channel between supervisor and trainer. Does not know states or the database.
"""

import time
from dataclasses import dataclass, field

from pydantic import ValidationError

from engine.brief import compose_brief
from engine.contract.brand import BrandRules
from engine.contract.records import Dataset, Run
from engine.curve import Curve
from engine.models.catalog import get_model
from engine.models.inspect import fingerprint
from engine.processes import Child, out_of_memory_kills, take_lock
from engine.run_files import Order, Result
from engine.standby import Standby
from engine.workspace import RunFolder, Workspace, write_durably


@dataclass
class Attempt:
    """The trainer that runs now. Its times are of the monotonic clock: the wall clock jumps."""

    run_id: str
    folder: RunFolder
    child: Child
    memory_kills: int | None
    spoke_at: float = field(default_factory=time.monotonic)
    lines: int = 0
    told: set[str] = field(default_factory=set)
    cancelled_at: float | None = None
    has_stalled: bool = False

    def tell(self, word: str) -> None:
        """Say it once, however often it is wanted."""
        if word not in self.told:
            self.told.add(word)
            self.child.send(word)

    def seconds_silent(self, curve: Curve) -> float:
        """Since its journal last grew."""
        now = time.monotonic()
        if curve.lines != self.lines:
            self.lines, self.spoke_at = curve.lines, now
        return now - self.spoke_at

    def ran_out_of_memory(self) -> bool:
        """Killed, and not by us, while the kernel killed something for memory."""
        before, after = self.memory_kills, out_of_memory_kills()
        was_killed = self.child.poll() == -9 and not self.has_stalled
        return was_killed and before is not None and after is not None and after > before


def start_attempt(
    workspace: Workspace, standby: Standby, run: Run, dataset: Dataset, rules: BrandRules
) -> Attempt | None:
    """A trainer on the run's newest attempt; None while something else holds the run's lock."""
    folder = workspace.run(run.id)
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    order = _order(workspace, run, dataset, choose_brief(folder, rules))
    write_durably(folder.order, order.model_dump_json(indent=1).encode())
    lock = take_lock(folder.lock)
    if lock is None:
        return None
    memory_kills = out_of_memory_kills()
    return Attempt(run.id, folder, standby.train(folder, lock), memory_kills)


def read_result(folder: RunFolder, attempt: int) -> Result | None:
    """How this attempt ended; None if it left no word, or only the word of an earlier one."""
    try:
        result = Result.model_validate_json(folder.result.read_bytes())
    except (OSError, ValidationError):
        return None
    return result if result.attempt == attempt else None


def choose_brief(folder: RunFolder, rules: BrandRules) -> str:
    """That of the run's earlier attempt, whatever the rules are by now; what they ask for if it has none."""
    try:
        return Order.model_validate_json(folder.order.read_bytes()).brief
    except (OSError, ValidationError):
        return compose_brief(rules)


def _order(workspace: Workspace, run: Run, dataset: Dataset, brief: str) -> Order:
    model = get_model(workspace, run.recipe.base_model)
    return Order(
        run_id=run.id,
        attempt=run.attempt,
        recipe=run.recipe,
        base_model_folder=model,
        base_model_fingerprint=fingerprint(model),
        dataset_file=workspace.dataset(run.dataset_id),
        dataset_fingerprint=dataset.fingerprint,
        brief=brief,
    )
