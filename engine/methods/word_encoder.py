"""Virtual tokens that begin as words: their embeddings, and what an encoder learns to add to them."""

from typing import Any

import torch
from peft import PromptEncoderConfig
from peft.tuners.p_tuning import PromptEncoder
from torch import Tensor


class WordEncoder(PromptEncoder):  # type: ignore[misc]
    """PEFT's encoder behind the words' own embeddings; what it adds is nothing before the first step.

    It adds in units of the words' spread, so that one learning rate serves models of any scale.
    """

    def __init__(self, config: PromptEncoderConfig, words: Tensor) -> None:
        """`words`: (virtual tokens, hidden size)."""
        super().__init__(config)
        self.register_buffer("words", words, persistent=False)
        self._spread = words.std().item()
        last: Any = self.mlp_head[-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)

    def forward(self, indices: Tensor) -> Tensor:
        """(rows, virtual tokens) -> (rows, virtual tokens, hidden size)."""
        written: Tensor = self.words[indices] + self._spread * super().forward(indices)
        return written
