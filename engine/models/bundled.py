"""The base model that comes with the product: a GGUF file, unpacked once into this machine's cache."""

from pathlib import Path

from platformdirs import user_cache_path

from engine.contract.records import BUNDLED_MODEL


def bundled_folder() -> Path:
    """Where the unpacked model lies, shared by all workspaces."""
    return user_cache_path("voicewright") / "models" / BUNDLED_MODEL
