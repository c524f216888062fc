"""Which kind of file some bytes are, by what stands in them and never by the name of the file.

Workbooks are told apart here, and what the studio cannot read is refused with the way to a file it can. Does
not know encodings (`decoding.py`) nor what a text holds (`shapes.py`).
"""

import re
from typing import NoReturn

from engine.contract.failures import EngineFailure

FROM_EXCEL = (
    "Open it in Excel, choose File → Save As, pick “CSV UTF-8 (Comma delimited)”, and "
    "upload the file this makes."
)
FROM_ITS_PROGRAM = (
    "Open it in the program that made it, save the table as CSV (UTF-8), and upload the file this makes."
)
_UNPACK = "Unpack it and upload the CSV file inside."
_MAKE_A_TABLE = (
    "Put your examples into a spreadsheet, one per row, save it as CSV (UTF-8), and "
    "upload the file this makes."
)
_FROM_NUMBERS = "Open it in Numbers, choose File → Export To → CSV, and upload that file."
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "a PDF document", _MAKE_A_TABLE),
    (b"\x89PNG", "a picture", _MAKE_A_TABLE),
    (b"\xff\xd8\xff", "a picture", _MAKE_A_TABLE),
    (b"GIF8", "a picture", _MAKE_A_TABLE),
    (b"\x1f\x8b", "a compressed file (gzip)", _UNPACK),
    (b"BZh", "a compressed file (bzip2)", _UNPACK),
    (b"\xfd7zXZ", "a compressed file (xz)", _UNPACK),
    (b"7z\xbc\xaf", "a compressed file (7-Zip)", _UNPACK),
    (b"Rar!", "a compressed file (RAR)", _UNPACK),
    (b"{\\rtf", "a text document (RTF)", _MAKE_A_TABLE),
    (b"PAR1", "a Parquet file", FROM_ITS_PROGRAM),
    (b"SQLite format 3", "a database", FROM_ITS_PROGRAM),
)
_ZIP = b"PK\x03\x04"
# The name of an entry stands 30 bytes into its header; the first that tells is the outer document's own.
_TELLING_ENTRY = re.compile(rb"PK\x03\x04.{26}(xl/|word/|ppt/|Index/)", re.DOTALL)
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument."
_ZIP_KINDS: dict[bytes, tuple[str, str]] = {
    b"xl/": ("an Excel workbook", FROM_EXCEL),
    b"word/": ("a Word document", _MAKE_A_TABLE),
    b"ppt/": ("a presentation", _MAKE_A_TABLE),
    b"Index/": ("a Numbers spreadsheet", _FROM_NUMBERS),
}
# The container of Office before 2007, and of any workbook with a password; it names its parts in UTF-16.
_COMPOUND = b"\xd0\xcf\x11\xe0"
_OLD_WORKBOOK = ("Workbook", "Book", "EncryptedPackage")
_WEB_PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|\?xml)\b", re.IGNORECASE | re.DOTALL
)


def is_workbook(data: bytes) -> bool:
    """Whether a spreadsheet program wrote these bytes: an .xlsx, .xlsm, .xlsb, .xls or .ods."""
    if data.startswith(_COMPOUND):
        return any(f"{name}\0".encode("utf-16-le") in data for name in _OLD_WORKBOOK)
    return data.startswith(_ZIP) and (_find_entry(data) == b"xl/" or _is_open_spreadsheet(data))


def is_encrypted(data: bytes) -> bool:
    """Whether a workbook of today is wrapped in the old container, as Excel does to set a password."""
    return data.startswith(_COMPOUND) and "EncryptedPackage".encode("utf-16-le") in data


def refuse_other_kinds(data: bytes) -> None:
    """Raise EngineFailure if the bytes are of a known kind that is no text."""
    if data.startswith(_ZIP):
        refuse(*_describe_zip(data))
    if data.startswith(_COMPOUND):
        refuse(*_describe_compound(data))
    for sign, what, remedy in _SIGNATURES:
        if data.startswith(sign):
            refuse(what, remedy)
    if _WEB_PAGE.match(data, 0, 2000):
        refuse(*_describe_markup(data))


def refuse(what: str, remedy: str) -> NoReturn:
    raise EngineFailure(
        "bad_request", f"This is {what}, not a table of texts.", "Nothing was changed.", remedy
    )


def _find_entry(data: bytes) -> bytes:
    match = _TELLING_ENTRY.search(data)
    return match[1] if match else b""


def _is_open_spreadsheet(data: bytes) -> bool:
    return _OPEN_DOCUMENT + b"spreadsheet" in data[:200]


def _describe_zip(data: bytes) -> tuple[str, str]:
    if _is_open_spreadsheet(data):
        return "a LibreOffice spreadsheet", FROM_ITS_PROGRAM
    if _OPEN_DOCUMENT in data[:200]:
        return "a LibreOffice document", _MAKE_A_TABLE
    return _ZIP_KINDS.get(_find_entry(data), ("a zip archive", _UNPACK))


def _describe_markup(data: bytes) -> tuple[str, str]:
    """Many programs export a web page or XML under the name of a workbook, which Excel opens all the same."""
    if b"Excel.Sheet" in data[:2000]:
        return "an Excel workbook of 2003, in XML", FROM_EXCEL
    return "a web page", FROM_EXCEL if re.search(rb"<table\b", data, re.IGNORECASE) else _MAKE_A_TABLE


def _describe_compound(data: bytes) -> tuple[str, str]:
    if is_workbook(data):
        return "an Excel workbook", FROM_EXCEL
    if "WordDocument".encode("utf-16-le") in data:
        return "a Word document of the old kind (.doc)", _MAKE_A_TABLE
    return "a document of an old Office program", FROM_ITS_PROGRAM
