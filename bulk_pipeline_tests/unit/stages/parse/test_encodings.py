"""A byte order mark, else strict UTF-8, else what was declared; nothing is guessed."""

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
    result = read(TEXT.encode(), encoding="ascii", piece=piece)
    assert result.places == [(row, row + 1, "city", "bad_encoding") for row in (1, 2, 3)]


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
        ("klingon", "unknown encoding 'klingon': name one like utf-8 or cp1252"),
        ("rot13", "'rot13' is not an encoding of text files: name one like cp1252"),
        ("idna", "'idna' is not an encoding of text files: name one like cp1252"),
        ("a\0b", "unknown encoding 'a\\x00b': name one like utf-8 or cp1252"),
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
