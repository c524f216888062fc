"""The base model that comes with the product: a GGUF file, unpacked once into this machine's cache."""

from pathlib import Path

from engine.contract.records import BUNDLED_MODEL
from engine.models.unpacking import Unpacking
from engine.workspace import ASSETS

ORIGINAL = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""On Hugging Face: what the file was made from."""
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BUNDLED = Unpacking(
    BUNDLED_MODEL, ASSETS / "models" / BUNDLED_MODEL / "SmolLM2-135M-Instruct.Q4_1.gguf", SHA256
)


def bundled_folder() -> Path:
    """Where the unpacked model lies, shared by all workspaces; it may not be there yet."""
    return BUNDLED.folder
