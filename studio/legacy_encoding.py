"""Which encoding wrote bytes that are not Unicode: a guess from how the letters would stand in words.

charset-normalizer tells families of scripts apart well, but takes cp1250 or Mac Roman for one curly quote of
cp1252. Western files are by far the most common here, so they are judged first, by whether each character
beyond ASCII stands where a writer would put it ("don’t", not "donÕt").
"""

import re

from charset_normalizer import from_bytes

_OTHERS = ["cp1250", "cp1251", "cp1253", "cp1254", "koi8_r", "shift_jis", "gb18030", "big5"]
_SAMPLE_BYTES = 100_000
# Below this share of fitting characters a text is not Western; real files score 0.95 and more, others under
# 0.6.
_FITTING = 0.8
# Polish, the least marked of the other languages, has about 6 % of its letters beyond ASCII. Fewer that fit
# nowhere are damage, as in an export that was converted twice.
_RARE = 0.02

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_OPENING = "“„«‘¿¡‚"
_CLOSING = "”»™®©°"
_ANYWHERE = "’–—…•·\xa0\xad"
_AMOUNTS = "€£¥§"
_AFTER_DIGITS = "½¼¾²³×ªº"
_WORDS_OF_ONE_CAPITAL = "ÀÉÓÅÖØÁÊÈÍ"


def guess_encoding(data: bytes) -> str:
    """The likeliest encoding of bytes that are not valid UTF-8; cp1252 where nothing speaks against it."""
    sample = _lines_beyond_ascii(data)
    western, mac = _share_fitting(sample, "cp1252"), _share_fitting(sample, "mac_roman")
    beyond_ascii = sum(byte > 127 for byte in sample)
    if max(western, mac) >= _FITTING or beyond_ascii < _RARE * len(sample):
        return "cp1252" if western >= mac else "mac_roman"
    best = from_bytes(sample, cp_isolation=_OTHERS).best()
    return best.encoding if best else "cp1252"


def _lines_beyond_ascii(data: bytes) -> bytes:
    """The lines that say something about the encoding, up to a sample's size."""
    lines = [line for line in data[: 20 * _SAMPLE_BYTES].splitlines(keepends=True) if not line.isascii()]
    return b"".join(lines)[:_SAMPLE_BYTES] or data[-_SAMPLE_BYTES:]


def _share_fitting(sample: bytes, encoding: str) -> float:
    try:
        text = f" {sample.decode(encoding)} "
    except UnicodeDecodeError:
        return 0.0
    beyond = [match.start() for match in _BEYOND_ASCII.finditer(text)]
    return sum(_fits(text[at - 2 : at + 2]) for at in beyond) / max(len(beyond), 1)


def _fits(around: str) -> bool:
    """Whether the third of four characters stands where a Western writer would put it."""
    earlier, before, char, after = list(around.rjust(4))
    if char.isalpha() and char not in "ªº":
        return _letter_fits(earlier, before, char, after)
    if char in _OPENING:
        return not before.isalnum() and not after.isspace()
    if char in _CLOSING:
        return not before.isspace() and not after.isalpha()
    if char in _AMOUNTS:
        return after.isdigit() or before.isdigit() or (before.isspace() and after.isspace())
    return char in _ANYWHERE or (char in _AFTER_DIGITS and before.isdigit())


def _letter_fits(earlier: str, before: str, char: str, after: str) -> bool:
    if all(letter.isalpha() and not letter.isascii() for letter in (earlier, before)):
        return False
    if char.isupper():
        stands_alone = not before.isalpha() and not after.isalpha()
        return char in _WORDS_OF_ONE_CAPITAL if stands_alone else not before.islower()
    return ord(char) <= 0xFF or char in "œšž"
