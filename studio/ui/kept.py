"""The examples of a kept version: they never change, so a tab fetches them once.

Does not know what is done with them.
"""

from engine.contract.records import Dataset, Example
from studio.ui.session import engine
from studio.ui.waiting import wait_for

SMALL_EXAMPLES = 1_500


def is_small(dataset: Dataset) -> bool:
    """Whether what is done with its examples takes a moment only."""
    return dataset.examples_train + dataset.examples_validation < SMALL_EXAMPLES


def load_kept(dataset: Dataset) -> list[Example]:
    return wait_for(
        f"kept-{dataset.id}",
        lambda tell: engine().examples(dataset.id),
        is_small(dataset),
        "Fetching your examples …",
    )
