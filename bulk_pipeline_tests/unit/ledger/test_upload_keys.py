"""Table, mode and format in keys and metadata."""

import pytest

from bulk_pipeline import tables
from bulk_pipeline.ledger.upload_keys import Address, archive_key, metadata_of, read_address
from bulk_pipeline.schema import Mode, UploadFormat


@pytest.mark.parametrize(
    ("key", "metadata", "expected"),
    [
        ("users/a.csv", {}, Address(table="users", mode=Mode.INSERT_ONLY)),
        ("users/upsert/a.csv", {}, Address(table="users", mode=Mode.UPSERT)),
        ("users/Upsert/a.csv", {}, Address(table="users", mode=Mode.UPSERT)),
        ("users/insert_only/2026/a.csv", {}, Address(table="users", mode=Mode.INSERT_ONLY)),
        ("users/2026/upsert/a.csv", {}, Address(table="users", mode=Mode.INSERT_ONLY)),
        ("users/upsert", {}, Address(table="users", mode=Mode.INSERT_ONLY)),
        ("users/a.csv", {"mode": " UPSERT "}, Address(table="users", mode=Mode.UPSERT)),
        ("users/upsert/a.csv", {"mode": "insert_only"}, Address(table="users", mode=Mode.INSERT_ONLY)),
        (
            "users/a.csv",
            {"encoding": "cp1252", "Idempotency-Key": "k 1", "force": "True"},
            Address(
                table="users",
                mode=Mode.INSERT_ONLY,
                format=UploadFormat(encoding="cp1252"),
                idempotency_key="k 1",
                force=True,
            ),
        ),
        ("users/a.csv", {"idempotency-key": " \0"}, Address(table="users", mode=Mode.INSERT_ONLY)),
    ],
)
def test_key_and_metadata_say_table_and_mode(key: str, metadata: dict[str, str], expected: Address) -> None:
    assert read_address(key, metadata) == expected


@pytest.mark.parametrize(
    ("key", "metadata", "table", "problem"),
    [
        ("a.csv", {}, "", "the key 'a.csv' names no table: drop files as <table>/<name>"),
        ("/a.csv", {}, "", "the key '/a.csv' names no table: drop files as <table>/<name>"),
        (
            "userz/a.csv",
            {},
            "userz",
            f"unknown table 'userz': expected one of {', '.join(tables.names())}",
        ),
        (
            "users/a.csv",
            {"mode": "replace"},
            "users",
            "unknown mode 'replace' in the metadata: expected one of insert_only, upsert",
        ),
    ],
)
def test_an_unclear_address_has_one_clear_problem(
    key: str, metadata: dict[str, str], table: str, problem: str
) -> None:
    address = read_address(key, metadata)
    assert (address.table, address.problem) == (table, problem)


@pytest.mark.parametrize("sheet", ["Data", "März", "=?", "=?utf-8?q?x?=", "名簿 2026, gültig"])
def test_metadata_declare_any_text_in_ascii(sheet: str) -> None:
    format_ = UploadFormat(sheet=sheet, columns=(("Straße", "city"),))
    metadata = metadata_of(Mode.UPSERT, format_)
    assert all(text.isascii() and "\n" not in text for text in metadata.values())
    address = read_address("customers/a.xlsx", metadata)
    assert address == Address(table="customers", mode=Mode.UPSERT, format=format_)


def test_metadata_have_no_underscores_which_some_proxies_drop() -> None:
    format_ = UploadFormat(null_words=("n/a",), decimal=",", date_formats=("DD.MM.YYYY",), trim=False)
    metadata = metadata_of(Mode.UPSERT, format_)
    assert metadata == {
        "mode": "upsert",
        "null-words": "n/a",
        "decimal": ",",
        "date-format": "DD.MM.YYYY",
        "trim": "false",
    }
    assert read_address("customers/a.csv", metadata).format == format_


def test_a_declaration_that_cannot_be_read_is_the_problem() -> None:
    address = read_address("users/a.csv", {"header": "first"})
    assert address.problem == "header 'first' is not understood: the only value is none"


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("users/a.csv", "users/j/a.csv"),
        ("users/upsert/a b'\"é.csv.gz", "users/j/a_b_.csv.gz"),
        ("users/..", "users/j/upload"),
        ("users/", "users/j/upload"),
        ("userz/a.csv", "_unknown/j/a.csv"),
        ("a.csv", "_unknown/j/a.csv"),
        ("users/" + "x" * 990 + ".csv", "users/j/" + "x" * 50 + "x" * 46 + ".csv"),
    ],
)
def test_archived_names_are_harmless_and_keep_their_ending(key: str, kept: str) -> None:
    assert archive_key(read_address(key, {}), "j", key) == kept


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "zlib", "klingon"])
def test_metadata_in_an_encoding_that_files_do_not_have_stay_as_they_are(charset: str) -> None:
    assert (
        read_address("users/a.csv", {"sheet": f"=?{charset}?q?Data?="}).format.sheet
        == f"=?{charset}?q?Data?="
    )
    assert read_address("users/a.csv", {"sheet": "=?iso-8859-1?q?M=E4rz?="}).format.sheet == "März"


@pytest.mark.parametrize(
    ("content_type", "metadata", "encoding"),
    [
        ("text/csv; charset=windows-1252", {}, "windows-1252"),
        ('text/csv; header=present; charset="ISO-8859-15"', {}, "iso-8859-15"),
        ("text/csv; charset=windows-1252", {"encoding": "cp1250"}, "cp1250"),
        ("text/csv; charset=utf-8", {}, None),
        ("text/csv; charset=nobody-knows", {}, None),
        ("text/csv; charset=unicode_escape", {}, None),
        ("text/csv; charset*=idna''cp1252", {}, None),
        ("text/csv; charset", {}, None),
        ("text/csv", {}, None),
        ("", {}, None),
    ],
)
def test_the_charset_of_the_content_type_declares_the_encoding(
    content_type: str, metadata: dict[str, str], encoding: str | None
) -> None:
    assert read_address("customers/a.csv", metadata, content_type).format.encoding == encoding


@pytest.mark.parametrize(
    ("key", "metadata", "mode", "profile"),
    [
        ("users/@export/a.csv", {}, Mode.INSERT_ONLY, "export"),
        ("users/@export/2026/a.csv", {}, Mode.INSERT_ONLY, "export"),
        ("users/@export/upsert/a.csv", {}, Mode.UPSERT, "export"),
        ("users/upsert/@export/a.csv", {}, Mode.UPSERT, "export"),
        ("users/2026/@export/a.csv", {}, Mode.INSERT_ONLY, None),
        ("users/@export.csv", {}, Mode.INSERT_ONLY, None),
        ("users/a.csv", {"profile": "export"}, Mode.INSERT_ONLY, "export"),
        ("users/@acme/a.csv", {"profile": "export", "mode": "upsert"}, Mode.UPSERT, "export"),
    ],
)
def test_a_folder_or_the_metadata_name_a_profile(
    key: str, metadata: dict[str, str], mode: Mode, profile: str | None
) -> None:
    address = read_address(key, metadata)
    assert (address.problem, address.mode, address.format) == (None, mode, UploadFormat(profile=profile))


@pytest.mark.parametrize(
    ("key", "metadata"), [("users/@acme/a.csv", {}), ("users/a.csv", {"profile": "acme"})]
)
def test_an_unknown_profile_is_the_problem_and_the_known_ones_are_named(
    key: str, metadata: dict[str, str]
) -> None:
    address = read_address(key, metadata)
    assert address.problem == "users has no profile 'acme': expected one of export"
    assert address.format == UploadFormat()
