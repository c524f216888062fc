"""A sentencepiece tokenizer of the kind BPE, as a file keeps it (pieces with scores), with `tokenizers`.

Of two neighbouring pieces those are merged first whose union has the highest score; characters that are no
piece fall apart into bytes. Does not know files or models.
"""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers

SPACE = "▁"
_MERGED = frozenset({1, 4, 5})
"""Kinds of tokens that texts are merged to: normal, defined by the maker, unused."""
_LONGEST = 512
"""Characters of a piece that is made of two others; no published tokenizer has one of a hundred."""


def build_sentencepiece(
    tokens: Sequence[str], scores: Sequence[float], kinds: Sequence[int], unknown: str, adds_space: bool
) -> Tokenizer:
    """`adds_space`: whether a text begins with a space that nobody wrote."""
    vocabulary = {text: number for number, text in enumerate(tokens)}
    merges = _merges(tokens, scores, kinds)
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    spaces = normalizers.Replace(" ", SPACE)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if adds_space else spaces
    )
    written = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*written, decoders.Strip(" ", 1, 0)] if adds_space else written)
    return tokenizer


def _merges(tokens: Sequence[str], scores: Sequence[float], kinds: Sequence[int]) -> list[tuple[str, str]]:
    """Every way to make a piece out of two, the piece with the highest score first."""
    described = zip(tokens, scores, kinds, strict=True)
    pieces = {text: score for text, score, kind in described if kind in _MERGED}
    found = [
        (-score, len(text[:cut]), text[:cut], text[cut:])
        for text, score in pieces.items()
        for cut in range(1, len(text) if len(text) <= _LONGEST else 0)
        if text[:cut] in pieces and text[cut:] in pieces
    ]
    found.sort(key=lambda merge: merge[0])
    return [(left, right) for _, _, left, right in found]
