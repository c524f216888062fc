"""Files arrive in any encoding, and some are no text at all."""

import codecs
import gzip
import io
import zipfile

import pytest

from engine.contract.failures import EngineFailure
from studio.decoding import read_text

ENGLISH = "Say hi,Don’t wait — it’s here: “the café” you’ve dreamt of…\nAsk,The GearPro® pack™ costs 20 €.\n"
GERMAN = "Anfrage;Text\nSchreib über Zelte;Für alle, die draußen schlafen möchten – größer geht’s nicht.\n"
SPANISH = "pregunta;texto\nDescripción;¿Qué esperas? Acción, montaña y corazón. ¡Año nuevo!\n"
FRENCH = "q;a\nDécris la tente;Où que vous alliez, l’été s’éveille à côté de vous, œuvre légère\n"
POLISH = "pytanie;odpowiedź\nOpisz namiot;Śpij pod gwiazdami. Żółta łódź, święta góra, zażółć gęślą jaźń\n"
RUSSIAN = "вопрос;ответ\nОпиши палатку;Спите под звёздами и слушайте ветер в горах\n"
JAPANESE = "質問;答え\nテントを説明;星空の下で眠りましょう。風の音を聞きながら。\n" * 3


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *[(text, name) for text in (GERMAN, SPANISH, FRENCH) for name in ("cp1252", "mac_roman")],
        (ENGLISH, "cp1252"),
        (ENGLISH.replace("20 €", "20 dollars"), "mac_roman"),
        ("Ask,Only one curly quote, isn’t it\n", "cp1252"),
        ("Ask,Only one café\n", "cp1252"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "shift_jis"),
        *[
            (text, name)
            for text in (ENGLISH, RUSSIAN)
            for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ],
    ],
)
def test_text_of_another_encoding_is_read_letter_for_letter_and_said_so(text: str, encoding: str) -> None:
    decoded = read_text(text.encode(encoding))
    assert decoded.text == text
    assert [finding.kind for finding in decoded.findings] == ["encoding"]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_utf8_needs_no_remark_and_its_mark_is_no_text(mark: bytes) -> None:
    decoded = read_text(mark + RUSSIAN.encode())
    assert (decoded.text, decoded.findings) == (RUSSIAN, ())


def test_a_file_pasted_together_from_two_encodings_keeps_both() -> None:
    decoded = read_text("é\nä\nñ\n".encode() + "donüt\n".encode("cp1252"))
    assert decoded.text == "é\nä\nñ\ndonüt\n"
    assert [finding.kind for finding in decoded.findings] == ["mixed-encoding"]


def _zip(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (_zip("xl/workbook.xml"), "Excel"),
        (_zip("word/document.xml"), "Word"),
        (_zip("table.csv"), "zip"),
        (b"\xd0\xcf\x11\xe0" + "Workbook\0".encode("utf-16-le"), "Excel"),
        (b"\xd0\xcf\x11\xe0" + "WordDocument\0".encode("utf-16-le"), "Word"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "Office"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "picture"),
        (gzip.compress(b"a,b\n1,2\n"), "compressed"),
        (b"\n<!DOCTYPE html><html><table>", "web page"),
        (bytes(range(256)) * 50, "format of its own"),
    ],
)
def test_what_is_no_text_is_named_with_a_remedy(data: bytes, word: str) -> None:
    with pytest.raises(EngineFailure) as caught:
        read_text(data)
    assert word in caught.value.failure.what_happened
    assert "CSV" in caught.value.failure.what_to_do
