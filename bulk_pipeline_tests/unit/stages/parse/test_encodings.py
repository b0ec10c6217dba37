"""The encoding is that of the byte order mark, else UTF-8 if valid, else the declared one."""

import codecs

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline_tests.unit.stages.parse.reading import read

TEXT = "email,city\na@b.co,Zürich\nb@b.co,東京\nc@b.co,🎉\n"
CITIES = ["Zürich", "東京", "🎉"]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_byte_order_mark_says_the_encoding(mark: bytes, encoding: str, piece: int) -> None:
    result = read(mark + TEXT.encode(encoding), piece=piece)
    assert (result.dialect.encoding, result.column("city"), result.failures) == (encoding, CITIES, [])
    assert result.raw[1] == "a@b.co,Zürich".encode()


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "iso8859-15", "shift_jis", "utf-16-le", "cp037"])
def test_a_declared_encoding_is_used(encoding: str) -> None:
    text = "email,city\na@b.co,東京\n" if encoding == "shift_jis" else "email,city\na@b.co,Zürich\n"
    result = read(text.encode(encoding), encoding=encoding)
    assert result.column("city") == [text.split(",")[-1].strip()]
    assert result.dialect.encoding == codecs.lookup(encoding).name


@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_bytes_the_declared_encoding_does_not_have_do_not_become_characters_of_utf8(piece: int) -> None:
    result = read(TEXT.encode() + b"d@b.co,\xff\n", encoding="ascii", piece=piece)
    assert result.places == [(row, row + 1, "city", "bad_encoding") for row in (1, 2, 3, 4)]


def test_a_byte_the_declared_encoding_does_not_have_is_a_failure_of_its_cell() -> None:
    result = read(b"email,city\na@b.co,x\x81\nb@b.co,Z\xfcrich\n", encoding="cp1252")
    message = "has the byte 0x81 at position 2, which is not valid cp1252"
    assert result.failures == [(1, 2, "city", "bad_encoding", message)]
    assert result.column("city") == [None, "Zürich"]


def test_half_of_a_utf_16_character_is_a_failure_of_its_cell() -> None:
    text = (
        codecs.BOM_UTF16_LE
        + "email,city\na@b.co,x".encode("utf-16-le")
        + b"\x3d\xd8"
        + "\n".encode("utf-16-le")
    )
    assert read(text).places == [(1, 2, "city", "bad_encoding")]
    assert read(text + b"x").rows[1][0] == "a@b.co"


def test_a_mark_wins_over_the_declared_encoding_with_a_warning() -> None:
    result = read(codecs.BOM_UTF8 + TEXT.encode(), encoding="latin-1")
    assert result.column("city") == CITIES
    assert result.warnings == [
        "the file's byte order mark says utf-8: the declared encoding latin-1 was not used"
    ]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("klingon", "'klingon' is not an encoding of text files: name one like utf-8 or cp1252"),
        ("rot13", "'rot13' is not an encoding of text files: name one like utf-8 or cp1252"),
        (
            "unicode_escape",
            "'unicode_escape' is not an encoding of text files: name one like utf-8 or cp1252",
        ),
        ("a\0b", "'a\\x00b' is not an encoding of text files: name one like utf-8 or cp1252"),
        ("cp1522", "'cp1522' is not an encoding of text files: name one like cp1252"),
    ],
)
def test_an_encoding_that_is_none_stops_the_file(encoding: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        read(b"email\n", encoding=encoding)
    assert (caught.value.code, str(caught.value)) == ("unreadable_file", message)


@pytest.mark.parametrize(("encoding", "order"), [("utf-16-le", "little"), ("utf-16-be", "big")])
def test_utf_16_without_a_mark_is_named_with_the_remedy(encoding: str, order: str) -> None:
    with pytest.raises(
        FileError, match=f"UTF-16 \\({order}-endian\\) without a byte order mark: save .*{encoding}"
    ):
        read(b"email,city\na@b.co,Rome\n".decode().encode(encoding))


def test_latin_1_undeclared_costs_cells_and_never_the_file() -> None:
    result = read("email,city\na@b.co,Zürich\nb@b.co,Rome\n".encode("latin-1"))
    assert result.places == [(1, 2, "city", "bad_encoding")]
    assert result.column("city") == [None, "Rome"]


def test_a_mark_and_nothing_else_is_an_empty_file() -> None:
    with pytest.raises(FileError, match="a byte order mark and nothing else"):
        read(codecs.BOM_UTF8)


DECLARED = "declared cp1252, but the text is valid UTF-8: it was read as UTF-8"


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("city", ["Jürgen", "5 €", "東京", "Łódź"])
def test_valid_utf8_is_read_as_utf8_whatever_is_declared(city: str, piece: int) -> None:
    result = read(f"email,city\na@b.co,{city}\n".encode(), encoding="cp1252", piece=piece)
    assert (result.column("city"), result.warnings) == ([city], [DECLARED])
    assert result.dialect.encoding == "utf-8"


@pytest.mark.parametrize("name", ["upload.ndjson", "upload.json"])
def test_json_in_utf8_is_read_as_utf8_whatever_is_declared(name: str) -> None:
    text = '{"email":"a@b.co","city":"Jürgen"}'
    data = (f"[{text}]" if name.endswith(".json") else text).encode()
    result = read(data, name, encoding="cp1252")
    assert (result.column("city"), result.warnings) == (["Jürgen"], [DECLARED])


@pytest.mark.parametrize("city", ["Ã¼", "CAFÉ™", "»Spaß«"])
def test_text_in_the_declared_page_that_looks_like_utf8_in_places_stays(city: str) -> None:
    result = read(f"email,city\na@b.co,{city}\nb@b.co,Köln\n".encode("cp1252"), encoding="cp1252")
    assert result.column("city") == [city, "Köln"]
    assert DECLARED not in result.warnings


def test_a_trade_mark_behind_a_capital_is_not_taken_for_utf8_by_itself() -> None:
    assert read("email,city\na@b.co,CAFÉ™\n".encode("cp1252"), encoding="cp1252").column("city") == ["CAFÉ™"]


@pytest.mark.parametrize(("last", "encoding"), [("Köln", "cp1252"), ("Köln", "utf-8")])
def test_late_bytes_of_a_long_file_decide_about_its_encoding(last: str, encoding: str) -> None:
    rows = "".join(f"u{i}@b.co,Rome\n" for i in range(90_000))
    data = f"email,city\n{rows}z@b.co,{last}\n".encode(encoding)
    result = read(data, encoding="cp1252")
    assert result.column("city")[-1] == "Köln"
    assert result.warnings == ([DECLARED] if encoding == "utf-8" else [])
    early = b"email,city\na@b.co,\xc3\xbc\n" + data.removeprefix(b"email,city\n")
    assert read(early, encoding="cp1252").column("city")[0] == ("ü" if encoding == "utf-8" else "Ã¼")


def test_utf8_declared_as_utf_16_is_read_as_utf8_and_utf_16_as_such() -> None:
    assert read(TEXT.encode(), encoding="utf-16-le").column("city") == CITIES
    assert read(TEXT.encode("utf-16-le"), encoding="utf-16-le").column("city") == CITIES


REMEDY = 'save the file as "CSV UTF-8", or declare the encoding (--encoding cp1252)'


def test_a_header_that_is_not_utf8_is_shown_as_the_likely_page_would_read_it() -> None:
    result = read("email;first_name;Größe\r\na@b.co;Ann;1\r\n".encode("cp1252"))
    shown = "'email;first_name;Gr\ufffd\ufffde' is not valid UTF-8 (byte 0xF6 at position 20)"
    assert (
        f"the header {shown}; read as cp1252 it would be 'email;first_name;Größe': {REMEDY}"
        in result.warnings
    )
    assert result.column("first_name") == ["Ann"]


def test_a_header_that_names_nothing_because_of_its_code_page_says_so() -> None:
    with pytest.raises(FileError, match="read as cp1252 it would be 'Straße;Größe'"):
        read("Straße;Größe\r\nx;1\r\n".encode("cp1252"))
