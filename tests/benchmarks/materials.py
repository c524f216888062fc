"""Lays out the model and the rows of a benchmark: `python -m tests.benchmarks.materials FOLDER MODEL ROWS`.

A process of its own, so that the one that measures stays small: a child's peak memory counts from that of
its parent.
"""

import sys
from pathlib import Path

from engine.models.load import load_tokenizer
from tests.benchmarks.rows import make_rows, write_rows
from tests.benchmarks.shapes import make_model


def model_folder(folder: Path) -> Path:
    return folder / "model"


def rows_file(folder: Path) -> Path:
    return folder / "rows.jsonl"


def main() -> None:
    folder, model, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    make_model(model, model_folder(folder))
    write_rows(rows_file(folder), make_rows(load_tokenizer(model_folder(folder)), count))


if __name__ == "__main__":
    main()
