"""The supported encodings, and the message for any other."""

import codecs
import encodings
from encodings import aliases
from pkgutil import iter_modules

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import charset_of, code_page, known_code_page
from bulk_pipeline.schema.code_pages import CODE_PAGES

NONE_OF_FILES = {
    "base64_codec", "bz2_codec", "charmap", "hex_codec", "idna", "mbcs", "oem", "palmos", "punycode", "quopri_codec",
    "raw_unicode_escape", "rot_13", "undefined", "unicode_escape", "utf_7", "uu_codec", "zlib_codec",
}  # fmt: skip
NOT_CODECS = {"aliases", "mac_arabic", "mac_centeuro", "mac_farsi"}  # in some versions of Python only


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("UTF8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("windows-1252", "cp1252"),
        ("Latin-1", "iso8859-1"),
        ("ISO_8859-15", "iso8859-15"),
        ("sjis", "shift_jis"),
        ("cp850", "cp850"),
        ("KOI8-R", "koi8-r"),
        ("utf-16LE", "utf-16-le"),
    ],
)
def test_an_encoding_is_known_by_all_its_names(declared: str, name: str) -> None:
    assert code_page(declared) == name


@pytest.mark.parametrize("name", sorted(CODE_PAGES))
def test_every_encoding_of_the_list_decodes_text(name: str) -> None:
    assert codecs.lookup(name)._is_text_encoding  # pyright: ignore[reportAttributeAccessIssue]  # not in its stub
    assert "Ab 1".encode(name).decode(known_code_page(name) or "") == "Ab 1"


def test_every_encoding_of_python_is_classified() -> None:
    known = {module.name for module in iter_modules(encodings.__path__) if not module.name.startswith("_")}
    assert known - CODE_PAGES - NOT_CODECS <= NONE_OF_FILES


@pytest.mark.parametrize(
    "declared",
    sorted(NONE_OF_FILES | {alias for alias, name in aliases.aliases.items() if name in NONE_OF_FILES}),
)
def test_notations_ciphers_and_compressors_are_none(declared: str) -> None:
    assert known_code_page(declared) is None
    with pytest.raises(FileError, match=f"'{declared}' is not an encoding of text files: name one like "):
        code_page(declared)
    assert charset_of(f"text/csv; charset={declared}") is None


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ("windows1252", "'windows1252' is not an encoding of text files: name one like cp1252 or "),
        ("iso-8859-155", "'iso-8859-155' is not an encoding of text files: name one like iso8859-15 or "),
        ("x" * 100_000, f"'{'x' * 39}…' is not an encoding of text files: name one like utf-8 or cp1252"),
    ],
)
def test_the_message_names_the_similar_keys(declared: str, sentence: str) -> None:
    with pytest.raises(FileError) as refused:
        code_page(declared)
    assert str(refused.value).startswith(sentence)


def test_a_declared_name_never_reaches_the_registry_of_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python caches every name of a codec that it looks up, known or not."""
    names = list[str]()
    monkeypatch.setattr(codecs, "lookup", names.append)
    for declared in ("klingon", "idna", "x" * 100):
        assert known_code_page(declared) is None
    assert names == []
