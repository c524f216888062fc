"""What stands in a column: prose or marks of another kind, how long, and whether it reads like what is asked.

Knows the cells alone, not the name of the column (`column_names.py`) nor its role (`columns.py`).
"""

import re
from dataclasses import dataclass
from statistics import median

from studio.table import Table

# Enough to tell a column of texts from one of numbers, and quick on 20,000 rows.
_ROWS_READ = 200
_NOT_PROSE = re.compile(
    r"[-+\d.,:/%€$£\s]*|https?://\S+|www\.\S+|\S+@\S+|null|none|n/?a|true|false|yes|no|ja|nein|oui|non"
    # Codes ("SKU-1042", "a3f9-77b0"), times ("2024-05-01T10:00:00Z") and file names stand without a space.
    r"|(?=\S*\d)[\w.:/-]+|\S+\.(?:jpe?g|png|gif|pdf|docx?|xlsx?|mp4)",
    re.IGNORECASE,
)
# How what is asked begins, in the languages of European brand teams, and questions.
_ASKS = re.compile(
    r"""\s*[¿"“]?(?:
    (?:please\s+|can\ you\s+|could\ you\s+)?(?:write|describe|draft|create|compose|generate|make|give|explain
        |summari[sz]e|rewrite|reply|answer|respond|announce|tell|translate|suggest|come\ up|introduce|define
        |list|invite|thank)\b
    |(?:bitte\s+)?(?:schreib|beschreib|verfass|erstell|formulier|antwort|erklär|nenn|kündig|fass|stell)(?:e|en)?\b
    |(?:écri|décri|rédige|propose|explique|répond|présente|annonce|résume|crée)(?:s|z|vez|ds)?\b
    |(?:escrib|describ|redact|explic|respond|present|anunci|cre|resum)(?:e|a|ir|ar|er)\b
    |(?:scrivi|descrivi|rispondi|spiega|presenta|annuncia|crea)\b
    |(?:escreva|descreva|responda|explique|apresente|crie)\b
    |(?:schrijf|beschrijf|beantwoord|leg|maak)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, eq=False)
class ColumnContents:
    name: str
    words: float
    """Median over the cells that hold prose."""
    prose: float
    """Share of the cells that hold prose: not empty, no number, no code, no address."""
    asks: float
    """Share of the prose cells that are an instruction or a question."""
    distinct: int
    """How many different cells of prose."""

    @property
    def is_text(self) -> bool:
        return self.prose >= 0.3

    @property
    def mostly_asks(self) -> bool:
        return self.asks >= 0.5

    @property
    def is_label(self) -> bool:
        """One or two words, always the same few, such as a status: nothing that was asked for."""
        return self.words <= 2 and self.distinct <= 5


def read_column(table: Table, name: str) -> ColumnContents:
    position = table.columns.index(name)
    cells = [row.cells[position].strip() for row in table.rows[:_ROWS_READ]]
    prose = [cell for cell in cells if not _NOT_PROSE.fullmatch(cell)]
    asks = sum(bool(_ASKS.match(cell)) or cell.endswith(("?", "？", "؟")) for cell in prose)
    return ColumnContents(
        name,
        words=median([len(cell.split()) for cell in prose] or [0]),
        prose=len(prose) / max(len(cells), 1),
        asks=asks / max(len(prose), 1),
        distinct=len(set(prose)),
    )
