"""Which columns of a table hold the prompts and the completions: a suggestion with its reason.

Names of columns come first, then what is in them. The person can always choose otherwise. Does not know
whether the rows make good examples (`examples.py`).
"""

import re
from dataclasses import dataclass
from statistics import median

from engine.contract.records import Columns
from studio.column_names import COMPLETION_NAMES, PROMPT_NAMES, normalise_name
from studio.table import Table

VOICE_PROMPT = "Write in our voice."
"""What every example answers when a table has only the brand's texts."""
# Enough to tell a column of texts from one of numbers, and quick on 20,000 rows.
_ROWS_READ = 200
_NOT_PROSE = re.compile(r"[-+\d.,:/%€$£\s]*|https?://\S+|\S+@\S+|null|none|n/?a|true|false", re.IGNORECASE)


@dataclass(frozen=True)
class SuggestedColumns:
    columns: Columns
    reason: str


@dataclass(frozen=True)
class _Column:
    name: str
    words: float
    """Median over the cells that hold prose."""
    prose: float
    """Share of the cells that hold prose: not empty, no number, no address."""

    @property
    def is_text(self) -> bool:
        return self.prose >= 0.3

    def rank(self, names: tuple[str, ...]) -> int:
        name = normalise_name(self.name)
        return names.index(name) if name in names else len(names)


def suggest_columns(table: Table) -> SuggestedColumns:
    """Prompt and completion by name, else by length: the longer text is what the brand wrote."""
    columns = [_read_column(table, position) for position in range(len(table.columns))]
    texts = [column for column in columns if column.is_text]
    if not texts:
        return _guess_without_text(columns)
    completion = _choose_completion(texts)
    prompt = _choose_prompt([column for column in texts if column is not completion])
    if prompt is None:
        return SuggestedColumns(Columns(prompt=None, completion=completion.name), _reason_alone(completion))
    return SuggestedColumns(
        Columns(prompt=prompt.name, completion=completion.name), _reason_for_two(prompt, completion)
    )


def _read_column(table: Table, position: int) -> _Column:
    cells = [row.cells[position] for row in table.rows[:_ROWS_READ]]
    lengths = [len(cell.split()) for cell in cells if not _NOT_PROSE.fullmatch(cell.strip())]
    return _Column(table.columns[position], median(lengths or [0]), len(lengths) / max(len(cells), 1))


def _choose_completion(columns: list[_Column]) -> _Column:
    """A name for completions wins; with a lone column of another kind of name, the longest text does."""
    named = [column for column in columns if column.rank(COMPLETION_NAMES) < len(COMPLETION_NAMES)]
    if named:
        return min(named, key=lambda column: column.rank(COMPLETION_NAMES))
    unclaimed = [column for column in columns if column.rank(PROMPT_NAMES) == len(PROMPT_NAMES)]
    return max(unclaimed or columns, key=_weight)


def _choose_prompt(columns: list[_Column]) -> _Column | None:
    named = [column for column in columns if column.rank(PROMPT_NAMES) < len(PROMPT_NAMES)]
    if named:
        return min(named, key=lambda column: column.rank(PROMPT_NAMES))
    return max(columns, key=_weight, default=None)


def _weight(column: _Column) -> tuple[bool, float]:
    """Longer texts first, but mostly filled columns before ones with gaps: a gap costs an example."""
    return column.prose > 0.8, column.words


def _guess_without_text(columns: list[_Column]) -> SuggestedColumns:
    guess = max(columns, key=lambda column: (column.prose, column.rank(COMPLETION_NAMES) == 0))
    return SuggestedColumns(
        Columns(prompt=None, completion=guess.name),
        f"No column of this table seems to hold text; “{guess.name}” is only a guess.",
    )


def _reason_alone(completion: _Column) -> str:
    return (
        f"Only “{completion.name}” holds text, so it is taken as your writing. "
        f"Every example then answers the same prompt: “{VOICE_PROMPT}”"
    )


def _reason_for_two(prompt: _Column, completion: _Column) -> str:
    by_name = completion.rank(COMPLETION_NAMES) < len(COMPLETION_NAMES) or prompt.rank(PROMPT_NAMES) < len(
        PROMPT_NAMES
    )
    why = "as their names say" if by_name else "since its texts are longer"
    return (
        f"“{prompt.name}” is taken as what is asked, “{completion.name}” as the answer in your voice, {why}."
    )
