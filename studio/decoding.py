"""From the bytes of an uploaded file to its text, or one sentence on why it is no text.

Knows byte order marks and encodings. Does not know kinds of files that are no text (`signatures.py`), nor
rows, columns or what the text is for.
"""

import codecs
from dataclasses import dataclass

from engine.contract.records import Finding
from studio.legacy_encoding import guess_encoding
from studio.signatures import FROM_ITS_PROGRAM, refuse, refuse_other_kinds

_TITLES = {
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "cp1252": "Windows-1252, Western European",
    "mac_roman": "Mac Roman, old Macintosh",
    "cp1250": "Windows-1250, Central European",
    "cp1251": "Windows-1251, Cyrillic",
    "cp1253": "Windows-1253, Greek",
    "cp1254": "Windows-1254, Turkish",
    "koi8_r": "KOI8-R, Cyrillic",
    "shift_jis": "Shift-JIS, Japanese",
    "gb18030": "GB 18030, Chinese",
    "big5": "Big5, Chinese",
}
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Control characters that no text holds.
_NOT_TEXT = bytes(set(range(32)) - {8, 9, 10, 11, 12, 13, 26, 27, 28, 29, 30, 31})


@dataclass(frozen=True)
class Decoded:
    """The text of a file without its byte order mark; `encoding` is Python's name of how it was read."""

    text: str
    encoding: str
    findings: tuple[Finding, ...] = ()


def read_text(data: bytes) -> Decoded:
    """Decode a text file of any common encoding; raise EngineFailure for what is no text."""
    refuse_other_kinds(data)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_unicode(data[len(mark) :], encoding)
    if unmarked := _find_unmarked_utf16(data):
        return _decode_unicode(data, unmarked)
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        _refuse_binary(data)
        if _is_cut_off(data, error):
            return _decode_unicode(data, "utf-8")
        return _decode_mixed(data) if _is_mostly_utf8(data) else _decode_legacy(data)


def _is_cut_off(data: bytes, error: UnicodeDecodeError) -> bool:
    """Whether UTF-8 ends amid a character, as half a download does; a lone odd byte may be of any kind."""
    return error.reason == "unexpected end of data" and not data[: error.start].isascii()


def _refuse_binary(data: bytes) -> None:
    start = data[:10_000]
    if len(start) - len(start.translate(None, _NOT_TEXT)) > len(start) / 100:
        refuse("a file in a format of its own", FROM_ITS_PROGRAM)


def _find_unmarked_utf16(data: bytes) -> str | None:
    """In ASCII as UTF-16 every second byte is zero; which one tells the order. It must then read as lines."""
    start = data[:2000]
    zeros_first, zeros_second = start[0::2].count(0), start[1::2].count(0)
    if not start or bool(zeros_first) == bool(zeros_second):
        return None
    encoding = "utf-16-be" if zeros_first else "utf-16-le"
    text = start.decode(encoding, errors="replace")
    return encoding if any(end in text for end in "\r\n,;\t") else None


def _decode_unicode(data: bytes, encoding: str) -> Decoded:
    findings = () if encoding == "utf-8" else (_encoding_finding(encoding),)
    try:
        return Decoded(data.decode(encoding), encoding, findings)
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
        return Decoded(text, encoding, (*findings, _unreadable_finding(text.count("\ufffd"))))


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether more lines beyond ASCII are valid UTF-8 than not: such a file was pasted together from two."""
    lines = [line for line in data.splitlines() if not line.isascii()]
    valid = sum(_is_utf8(line) for line in lines)
    return 2 * valid > len(lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode_mixed(data: bytes) -> Decoded:
    finding = Finding(
        severity="warning",
        kind="mixed-encoding",
        message="This file mixes two ways of writing letters: most of it is UTF-8, some lines are "
        "Windows-1252. "
        "Each was read in its own way.",
        remedy="Look for odd letters in the preview. Saving the table again as “CSV UTF-8” settles it.",
    )
    lines = data.splitlines(keepends=True)
    text = "".join(line.decode("utf-8") if _is_utf8(line) else _decode_western(line) for line in lines)
    return Decoded(text, "utf-8", (finding,))


def _decode_western(data: bytes) -> str:
    """Windows-1252, with its five unused bytes read as Latin-1 does, so that nothing is lost."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(
            bytes([byte]).decode("cp1252" if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1")
            for byte in data
        )


def _decode_legacy(data: bytes) -> Decoded:
    encoding = guess_encoding(data)
    if encoding == "cp1252":
        return Decoded(_decode_western(data), encoding, (_encoding_finding(encoding),))
    return _decode_unicode(data, encoding)


def _encoding_finding(encoding: str) -> Finding:
    return Finding(
        severity="note",
        kind="encoding",
        message=f"The file is not in UTF-8; it was read as {_TITLES[encoding]}.",
        remedy="If letters look odd in the preview, save the table as “CSV UTF-8” and upload it again.",
    )


def _unreadable_finding(count: int) -> Finding:
    return Finding(
        severity="warning",
        kind="encoding-damage",
        message=f"{count:,} characters of the file could not be read and are shown as “\ufffd”.",
        remedy="Save the table again as “CSV UTF-8” in the program that made it, and upload that file.",
    )
