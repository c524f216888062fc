"""What a model reads at once, and which examples may be longer than that: only those need counting.

Does not know how tokens are counted: the engine does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.contract.records import Example, Finding, TokenCounts
from studio.findings import check_window

# What the chat template puts around each text, and more.
_TOKENS_AROUND = 64


@dataclass(frozen=True)
class Window:
    tokens: int
    count_tokens: Callable[[list[Example]], TokenCounts]

    def check(self, examples: Sequence[Example]) -> list[Finding]:
        """The examples that do not fit. May raise what counting raises."""
        long = [example for example in examples if self._may_exceed(example)]
        return check_window(long, self.count_tokens(long)) if long else []

    def _may_exceed(self, example: Example) -> bool:
        """A token of byte-level BPE stands for one byte at least, so a text has no more tokens than bytes."""
        texts = (example.prompt, example.completion, *(turn.text for turn in example.turns))
        return sum(_TOKENS_AROUND + len(text.encode()) for text in texts) > self.tokens
