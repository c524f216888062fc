"""What a person brought, before it is read: a file, or text that was pasted. Equal ones have equal keys.

Does not know what kind of file it is (`files.py`), nor where it is kept meanwhile.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from studio.files import PASTED, read_file, read_pasted
from studio.table import Limit, Table


@dataclass(frozen=True)
class Source:
    name: str
    data: bytes
    is_pasted: bool = False

    @cached_property
    def key(self) -> str:
        """A short name that only equal sources share."""
        return sha256(self.name.encode("utf-8", "surrogatepass") + b"\0" + self.data).hexdigest()[:16]

    def read(self, limit: Limit | None = None, sheet: str | None = None) -> Table:
        """Raises EngineFailure with the reason and the way out."""
        if self.is_pasted:
            return read_pasted(self.data.decode("utf-8", "surrogatepass"), limit=limit)
        return read_file(self.data, self.name, limit=limit, sheet=sheet)


def pasted(text: str) -> Source:
    return Source(PASTED, text.encode("utf-8", "surrogatepass"), is_pasted=True)
