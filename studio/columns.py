"""Which columns of a table hold the prompts and the completions: a suggestion with its reason.

Names of columns come first, then what is in them; where the two plainly disagree, what is in them wins. The
person can always choose otherwise. Does not know whether the rows make good examples (`examples.py`).
"""

from dataclasses import dataclass

from engine.contract.records import Columns
from studio.column_contents import ColumnContents, read_column
from studio.column_names import is_aside_name, rank_as_completion, rank_as_prompt
from studio.table import Table
from studio.template_suggestion import suggest_template

# A column is not taken for texts against its name unless half of its cells have so many words.
_TEXT_WORDS = 8
VOICE_PROMPT = "Write in our voice."
"""What every example answers when a table has only the brand's texts."""


@dataclass(frozen=True)
class SuggestedColumns:
    columns: Columns
    """With a template where several columns share the asking; `prompt` is then the best single one."""
    reason: str


def suggest_columns(table: Table) -> SuggestedColumns:
    """Prompt and completion by name, else by content: what asks, and the longer text that the brand wrote."""
    columns = [read_column(table, name) for name in table.columns]
    texts = [column for column in columns if column.is_text]
    if not texts:
        return _guess_without_text(columns)
    completion = _choose_completion(texts)
    prompt = _choose_prompt([column for column in texts if column is not completion])
    if prompt is not None and _are_swapped(prompt, completion):
        columns_found = Columns(prompt=completion.name, completion=prompt.name)
        return SuggestedColumns(columns_found, _reason_swapped(prompt, completion))
    shared = suggest_template(table, completion.name)
    name = prompt.name if prompt else None
    if shared is not None:
        found = Columns(prompt=name, completion=completion.name, template=shared.template)
        return SuggestedColumns(found, f"{shared.reason} “{completion.name}” is the answer in your voice.")
    reason = _reason_for_two(prompt, completion) if prompt else _reason_alone(completion, len(texts))
    return SuggestedColumns(Columns(prompt=name, completion=completion.name), reason)


def _choose_completion(columns: list[ColumnContents]) -> ColumnContents:
    """A name for completions wins; else the longest text that neither asks nor is named as an aside."""
    named = {column: rank for column in columns if (rank := rank_as_completion(column.name)) is not None}
    if named:
        return min(named, key=lambda column: (column.is_label, named[column]))
    unclaimed = [column for column in columns if rank_as_prompt(column.name) is None]
    brand = [column for column in unclaimed if not is_aside_name(column.name) and not column.mostly_asks]
    return max(brand or unclaimed or columns, key=_weight)


def _choose_prompt(columns: list[ColumnContents]) -> ColumnContents | None:
    named = {column: rank for column in columns if (rank := rank_as_prompt(column.name)) is not None}
    if named:
        return min(named, key=lambda column: named[column])
    asking = [column for column in columns if column.mostly_asks]
    varied = [column for column in columns if not column.is_label]
    unnamed = [column for column in varied if not is_aside_name(column.name)]
    # A column of remarks can still be what was answered, such as comments on posts; a sparse one is not.
    asides = [column for column in varied if column.prose > 0.8]
    return max(asking or unnamed or asides, key=_weight, default=None)


def _weight(column: ColumnContents) -> tuple[bool, float]:
    """Longer texts first, but mostly filled columns before ones with gaps: a gap costs an example."""
    return column.prose > 0.8, column.words


def _are_swapped(prompt: ColumnContents, completion: ColumnContents) -> bool:
    """The names say one thing and nearly every cell the other: short requests here, whole texts there."""
    is_prose = prompt.words >= _TEXT_WORDS and prompt.words > completion.words
    return is_prose and completion.asks >= 0.6 and prompt.asks <= 0.2


def _guess_without_text(columns: list[ColumnContents]) -> SuggestedColumns:
    guess = max(columns, key=lambda column: (column.prose, rank_as_completion(column.name) is not None))
    return SuggestedColumns(
        Columns(prompt=None, completion=guess.name),
        f"No column of this table seems to hold text; “{guess.name}” is only a guess.",
    )


def _reason_alone(completion: ColumnContents, texts: int) -> str:
    why = (
        f"Only “{completion.name}” holds text, so it is taken as your writing."
        if texts == 1
        else f"“{completion.name}” is taken as your writing; no other column says what was asked for."
    )
    return f"{why} Every example then answers the same prompt: “{VOICE_PROMPT}”"


def _reason_swapped(prompt: ColumnContents, completion: ColumnContents) -> str:
    return (
        f"“{completion.name}” is taken as what is asked and “{prompt.name}” as the answer in your voice, the "
        "other way round than their names say: the cells read like requests in the one and like texts in the "
        "other."
    )


def _reason_for_two(prompt: ColumnContents, completion: ColumnContents) -> str:
    named = rank_as_completion(completion.name) is not None or rank_as_prompt(prompt.name) is not None
    why = "as their names say" if named else "since its texts are longer"
    if not named and prompt.mostly_asks:
        why = "since the cells of the one read like requests and those of the other do not"
    return (
        f"“{prompt.name}” is taken as what is asked, “{completion.name}” as the answer in your voice, {why}."
    )
