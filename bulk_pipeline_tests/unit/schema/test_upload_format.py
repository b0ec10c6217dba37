"""The declarations about an upload."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import LEFT_OUT, Column, ColumnType, Table, UploadFormat, read_format

_TEXTS = st.text(min_size=1).map(str.strip).filter(lambda text: text and "\0" not in text)
_WORDS = st.text().map(lambda text: text.replace("\0", ""))


@pytest.mark.parametrize(
    ("declared", "format_"),
    [
        ({}, UploadFormat()),
        ({"mode": "upsert", "encoding": " cp1252 ", "sheet": "\0"}, UploadFormat(encoding="cp1252")),
        ({"header": "None"}, UploadFormat(no_header=True)),
        (
            {"columns": "E-Mail = email,a=b=city,"},
            UploadFormat(columns=(("E-Mail", "email"), ("a=b", "city"))),
        ),
        ({"columns": '{"Ort, Land": "city"}'}, UploadFormat(columns=(("Ort, Land", "city"),))),
        ({"sheet": "März", "records": "data"}, UploadFormat(sheet="März", records="data")),
        ({"null-words": "n/a, -,", "trim": "True"}, UploadFormat(null_words=("n/a", "-"), trim=True)),
        ({"null_words": '["", "a, b"]'}, UploadFormat(null_words=("", "a, b"))),
        ({"decimal": ",", "thousands": "blank"}, UploadFormat(decimal=",", thousands=" ")),
        ({"thousands": "none", "trim": "false"}, UploadFormat(thousands="", trim=False)),
        ({"date_format": "DD.MM.YYYY, ISO"}, UploadFormat(date_formats=("DD.MM.YYYY", "ISO"))),
        ({"extra_columns": "reject"}, UploadFormat(rejects_extra_columns=True)),
        ({"delimiter": "Tab", "quote": "none"}, UploadFormat(delimiter="\t", quote="")),
        ({"delimiter": " ", "quote": "'"}, UploadFormat(delimiter=" ", quote="'")),
        ({"delimiter": "\\x1F", "header-row": " 3 "}, UploadFormat(delimiter="\x1f", header_row=3)),
        ({"delimiter": "||"}, UploadFormat(delimiter="||")),
    ],
)
def test_a_format_is_declared_in_texts(declared: dict[str, str], format_: UploadFormat) -> None:
    assert read_format(declared) == format_


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"header": "2"}, "header '2' is not understood: the only value is none"),
        (
            {"columns": "email"},
            "columns 'email' is not understood: write it like E-Mail=email, Ort=city (the name in the file first)",
        ),
        (
            {"null_words": "[1]"},
            'null_words \'[1]\' is not understood: write a JSON array like ["n/a", "-"]',
        ),
        ({"header_row": "0"}, "header_row '0' is not understood: write a whole number from 1 on, like 3"),
        (
            {"delimiter": ",;"},
            "delimiter ',;' cannot separate cells: write one character that is no letter, digit or backslash, the same "
            "one twice, tab, blank, or a control character like \\x1f",
        ),
        (
            {"quote": "''"},
            "quote \"''\" cannot stand around cells: write one ASCII character that is no letter, digit, blank or "
            "backslash, or none",
        ),
        ({"decimal": ";"}, "decimal ';' is not understood: expected one of , ."),
        ({"trim": "1"}, "trim '1' is not understood: expected one of true false"),
        ({"time_zone": "berlin"}, "time_zone 'berlin' is unknown: did you mean Europe/Berlin?"),
        ({"time_zone": "../UTC"}, "time_zone '../UTC' is unknown: write it like Europe/Berlin"),
        (
            {"columns": '{"a": 1}'},
            'columns \'{"a": 1}\' is not understood: write a JSON object like {"E-Mail": "email", "Ort": "city"}',
        ),
    ],
)
def test_an_invalid_declaration_is_refused_with_the_valid_form(
    declared: dict[str, str], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_format(declared)
    assert str(caught.value) == message


@given(
    st.builds(
        UploadFormat,
        profile=st.none() | _TEXTS,
        encoding=st.none() | _TEXTS,
        delimiter=st.sampled_from([None, ";", "\t", " ", "\x01", "\x1f", "||", "¦"]),
        quote=st.sampled_from([None, "", '"', "'", "|"]),
        no_header=st.booleans(),
        header_row=st.none() | st.integers(1, 10**9 - 1),
        columns=st.dictionaries(_TEXTS, _TEXTS, max_size=3).map(lambda names: tuple(names.items())),
        sheet=st.none() | _TEXTS,
        records=st.none() | _TEXTS,
        rejects_extra_columns=st.none() | st.booleans(),
        trim=st.none() | st.booleans(),
        null_words=st.lists(_WORDS).map(tuple),
        true_words=st.lists(_WORDS).map(tuple),
        decimal=st.sampled_from([None, ",", "."]),
        thousands=st.sampled_from([None, ",", ".", "'", " ", ""]),
        date_formats=st.sampled_from([(), ("ISO",), ("MMM D, YYYY", "DD/MM/YYYY")]),
        time_zone=st.sampled_from([None, "UTC", "Asia/Kathmandu"]),
    )
)
def test_its_texts_declare_the_same_format(format_: UploadFormat) -> None:
    assert read_format(format_.texts()) == format_


def test_the_upload_s_declarations_go_before_the_table_s() -> None:
    table = UploadFormat(encoding="cp1252", sheet="Data", columns=(("Ort", "city"), ("Mail", "email")))
    upload = UploadFormat(encoding="latin-1", columns=(("Ort", "first_name"),))
    assert upload.over(table) == UploadFormat(
        encoding="latin-1", sheet="Data", columns=(("Ort", "first_name"), ("Mail", "email"))
    )


def test_a_header_that_is_declared_for_the_upload_replaces_that_of_the_table() -> None:
    none, third = UploadFormat(no_header=True), UploadFormat(header_row=3)
    assert (none.over(third), third.over(none)) == (none, third)
    assert UploadFormat(sheet="Data").over(third) == UploadFormat(sheet="Data", header_row=3)


def test_a_table_declares_an_encoding_that_files_have() -> None:
    columns = (Column(name="id", type=ColumnType.UUID),)
    with pytest.raises(DeclarationError, match="table t: 'rot13' is not an encoding of text files"):
        Table(name="t", columns=columns, upload_format=UploadFormat(encoding="rot13"))
    cp1252 = UploadFormat(encoding="windows-1252")
    assert Table(name="t", columns=columns, upload_format=cp1252).upload_format == cp1252


def test_a_table_declares_names_for_its_own_columns_only() -> None:
    columns = (Column(name="id", type=ColumnType.UUID),)
    with pytest.raises(DeclarationError, match="table t: 'Ort' stands for city, which is not a column"):
        Table(name="t", columns=columns, upload_format=UploadFormat(columns=(("Ort", "city"),)))
    left_out = UploadFormat(columns=(("Ort", LEFT_OUT),))
    assert Table(name="t", columns=columns, upload_format=left_out).upload_format == left_out


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (UploadFormat(thousands="."), "thousands and decimal are both '.': declare another decimal mark"),
        (UploadFormat(no_header=True, header_row=3), "header: none and header_row: 3 are both declared"),
        (
            UploadFormat(delimiter='"'),
            "delimiter and quote are both '\"': declare another quote, or quote: none",
        ),
        (UploadFormat(delimiter="||", quote="|"), "delimiter and quote are both '|'"),
        (
            UploadFormat(true_words=("Ja", "x"), false_words=("X", "nein")),
            "'x' is both in true_words and in false_words: remove one of them",
        ),
        (UploadFormat(time_zone="Mars/Olympus"), "time_zone 'Mars/Olympus' is unknown"),
        (UploadFormat(date_formats=("DD.MM",)), "format 'DD.MM' is not one of a date: it lacks the year"),
    ],
)
def test_a_table_declares_a_format_that_does_not_contradict_itself(
    declared: UploadFormat, message: str
) -> None:
    columns = (Column(name="id", type=ColumnType.UUID),)
    with pytest.raises(DeclarationError, match=f"table t: {message}"):
        Table(name="t", columns=columns, upload_format=declared)


def test_a_profile_goes_before_the_table_and_the_upload_before_both() -> None:
    table = Table(
        name="t",
        columns=(Column(name="id", type=ColumnType.UUID), Column(name="city")),
        upload_format=UploadFormat(decimal=",", thousands=".", encoding="cp1252", columns=(("Ort", "city"),)),
        profiles=(("acme", UploadFormat(decimal=".", thousands="", columns=(("Town", "city"),))),),
    )
    of_upload = UploadFormat(profile="acme", encoding="latin-1")
    assert table.format_of(of_upload) == UploadFormat(
        profile="acme",
        decimal=".",
        thousands="",
        encoding="latin-1",
        columns=(("Ort", "city"), ("Town", "city")),
    )
    assert table.format_of(UploadFormat(profile="export")) == UploadFormat(profile="export")
    with pytest.raises(DeclarationError, match="t has no profile 'x': expected one of acme, export"):
        table.format_of(UploadFormat(profile="x"))


@pytest.mark.parametrize(
    ("name", "declared", "message"),
    [
        ("a b", UploadFormat(), "table t: a profile cannot be called 'a b': use at most 50 ASCII letters"),
        ("export", UploadFormat(), "table t: a profile cannot be called 'export'"),
        (
            "acme",
            UploadFormat(columns=(("x", "y"),)),
            "table t: profile acme: 'x' stands for y, which is not a column",
        ),
        ("acme", UploadFormat(thousands="."), "table t: profile acme: thousands and decimal are both '.'"),
        ("acme", UploadFormat(encoding="rot13"), "table t: profile acme: 'rot13' is not an encoding"),
    ],
)
def test_a_profile_that_cannot_work_is_refused(name: str, declared: UploadFormat, message: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Table(name="t", columns=(Column(name="a"),), profiles=((name, declared),))
    assert message in str(refused.value)
