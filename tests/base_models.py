"""Where the small base model lies that keeps the suite fast."""

from pathlib import Path

SMALL_MODEL = Path(__file__).parent / "small_model"
"""A Llama of 6.2M parameters that writes English of a sort (its card is beside it)."""
