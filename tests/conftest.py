"""What all tests share: the base model that comes with the product, unpacked."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundled_model_folder() -> Path:
    """In this machine's own cache, where it stays for the next time."""
    from engine.models.bundled import BUNDLED

    BUNDLED.make(lambda done, total: None)
    return BUNDLED.folder
