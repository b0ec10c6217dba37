"""A table is written to a file and read back; a file that is wrong is refused with its line and the remedy."""

import json
from dataclasses import fields
from importlib import import_module
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.cli.tables import print_schema
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, ColumnType, Expectation, ForeignKey, Key, Rule, Table, UploadFormat
from bulk_pipeline.schema.subscription import Event, Subscription
from bulk_pipeline.schema.table_files import json_schema, plain, read_table, write_table
from bulk_pipeline.schema.table_files.keys import COLUMN, FOREIGN_KEY, RULE, TABLE, UNIQUE_KEY, UPLOAD_FORMAT
from bulk_pipeline.schema.upload_format import DECLARATIONS, FORMAT_PARTS

EXAMPLE = """\
# yaml-language-server: $schema=../table.schema.json
name: orders
description: Orders of the shop.
columns:
  id: {type: uuid, generated: uuid}
  order_no:
    type: text
    required: true
    pattern: '[A-Z]-\\d+'
    pattern_name: an order number like A-1234
  state: {type: text, choices: [open, "on", "1"]}
  paid: {type: boolean, default: false}
  paid_on: {type: timestamp with time zone}
primary_key: [id]
unique_keys: [[order_no]]
rules:
  - check: bulk_pipeline_tests.unit.schema.test_table_files:paid_has_date
    columns: [paid, paid_on]
    message: "a paid order has a date: paid_on"
default_mode: upsert
expects: weekdays by 08:00 Europe/Rome
upload_format:
  encoding: cp1252
  columns: {Bestellnr.: order_no, Notiz: "-"}
  trim: true
  null_words: [n/a, "-"]
  decimal: ","
  thousands: blank
  date_format: DD.MM.YYYY
  time_zone: Europe/Berlin
profiles:
  acme: {decimal: ".", delimiter: tab, quote: none, header_row: 3, columns: {Order: order_no}}
"""


def paid_has_date(rows: Any) -> Any:
    return ~rows["paid"] | rows["paid_on"].notna()


def check_named(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def read(text: str) -> Table:
    return read_table(text, "tables/t.yaml", check_named)


def test_a_file_declares_a_table() -> None:
    table = read(EXAMPLE)

    assert (table.name, table.description, table.default_mode) == ("orders", "Orders of the shop.", "upsert")
    assert table.column("order_no") == Column(
        name="order_no",
        required=True,
        pattern=r"[A-Z]-\d+",
        pattern_name="an order number like A-1234",
    )
    assert table.column("state").choices == ("open", "on", "1")
    assert table.column("paid").default is False
    assert table.rules == (
        Rule("paid_has_date", ("paid", "paid_on"), paid_has_date, "a paid order has a date: paid_on"),
    )
    assert table.upload_format.encoding == "cp1252"
    assert table.upload_format == UploadFormat(
        encoding="cp1252",
        columns=(("Bestellnr.", "order_no"), ("Notiz", "-")),
        trim=True,
        null_words=("n/a", "-"),
        decimal=",",
        thousands=" ",
        date_formats=("DD.MM.YYYY",),
        time_zone="Europe/Berlin",
    )
    acme = UploadFormat(decimal=".", delimiter="\t", quote="", header_row=3, columns=(("Order", "order_no"),))
    assert table.profiles == (("acme", acme),)
    assert table.expects == Expectation.parse("weekdays by 08:00 Europe/Rome")
    assert read(write_table(table)) == table


@pytest.mark.parametrize("name", ["customers", "users", "articles", "comments"])
def test_a_table_is_read_back_from_its_file(name: str) -> None:
    table = tables.get(name)

    assert read(write_table(table)) == table


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
WORDS = st.sampled_from(
    ["yes", "null", "~", "1", "0o7", "1e5", "2026-01-31", "=", "<<", "- a", "a: b", "a #b"]
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    texts = TEXTS | WORDS
    choices = tuple(draw(st.lists(texts, max_size=4)))
    return Column(
        name=name,
        required=draw(st.booleans()),
        max_length=draw(st.none() | st.integers(1, 10**9)),
        choices=choices,
        default=draw(st.none() | (st.sampled_from(choices) if choices else texts)),
    )


@given(st.data())
def test_every_text_is_read_back_as_it_was(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES.filter(lambda name: name != "id"), max_size=4, unique=True))
    table = Table(
        name=data.draw(TEXTS | WORDS),
        upload_name="t",
        schema=data.draw(TEXTS | WORDS),
        description=data.draw(st.just("") | TEXTS | WORDS),
        columns=(
            Column(name="id", type=ColumnType.UUID),
            *(data.draw(columns(name)) for name in names),
        ),
    )

    assert read(write_table(table)) == table


def problem_of(text: str) -> str:
    try:
        read(text)
    except DeclarationError as error:
        return str(error)
    return ""


@given(st.text() | st.text("[]{}:,-#'\"&*!|>% \nabc"))
def test_any_text_is_a_table_or_an_error_that_names_file_and_line(text: str) -> None:
    for whole in (text, f"name: t\ncolumns:\n  id: {{type: uuid}}\n  a: {text}"):
        assert problem_of(whole).startswith("tables/t.yaml, line ") or read(whole).column_names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("description:", "descripton:"), "line 3: unknown key 'descripton': did you mean description?"),
        (
            ("required:", "requird:"),
            "line 8: columns: order_no: unknown key 'requird': did you mean required?",
        ),
        (("name: orders\n", ""), "line 2: the key name is missing: add it"),
        (
            ("required: true", "required: yes"),
            "line 8: columns: order_no: required: expected true or false, not 'yes'",
        ),
        (
            ("type: boolean", "type: booleen"),
            "line 12: columns: paid: type: unknown type 'booleen': did you mean boolean? A type of the database's own",
        ),
        (
            ("[open,", "[1,"),
            'line 11: columns: state: choices: 1 is no text: write "1" if it is meant as one',
        ),
        (
            ("default: false", "default: maybe"),
            "line 12: columns: paid: column paid: default 'maybe' is not of type boolean",
        ),
        (
            ("[A-Z]", "(?=[A-Z])"),
            "line 7: columns: order_no: column order_no: pattern '(?=[A-Z])-\\\\d+' is not an RE2 expression",
        ),
        (
            ("[paid, paid_on]", "[paid, payed_on]"),
            "line 18: rules: columns: 'payed_on' is not a column of this table: did you mean paid_on?",
        ),
        (("[[order_no]]", "order_no"), "line 15: unique_keys: expected a list like [a, b], not 'order_no'"),
        (
            ("mode: upsert", "mode: insert"),
            "line 20: default_mode: 'insert' is unknown: did you mean insert_only?",
        ),
        (
            ("cp1252", "cp1252x"),
            "line 2: table orders: 'cp1252x' is not an encoding of text files: name one like cp1252",
        ),
        (
            ("08:00 Europe/Rome", "8:00 Europe/Rome"),
            "line 21: expects: 'weekdays by 8:00 Europe/Rome' cannot be read: write it like `daily by 08:00",
        ),
        (("Notiz:", "Bestellnr.:"), "line 24: upload_format: columns: Bestellnr. is here and in line 24"),
        (("name: orders", "name: orders\nname: o"), "line 3: name is here and in line 2: keep one of them"),
        (("trim: true", "trim: yes"), "line 25: upload_format: trim: expected true or false, not 'yes'"),
        (
            ("null_words", "null_word"),
            "line 26: upload_format: unknown key 'null_word': did you mean null_words?",
        ),
        (
            ('decimal: ","', 'decimal: ";"'),
            "line 27: upload_format: decimal: ';' is unknown: expected one of ,, .",
        ),
        (("blank", "blanks"), "line 28: upload_format: thousands: 'blanks' is unknown: did you mean blank?"),
        (
            ("DD.MM.YYYY", "DD.MM.YY"),
            "line 23: upload_format: format 'DD.MM.YY': 'Y' is no part of a format: years have four digits, YYYY",
        ),
        (
            ("acme: {decimal", "acme: {decimals"),
            "line 32: profiles: acme: unknown key 'decimals': did you mean decimal?",
        ),
        (
            ("Order: order_no", "Order: no"),
            "line 32: profiles: acme: columns: Order: 'no' is not a column of this table",
        ),
        (("acme:", "export:"), "table orders: a profile cannot be called 'export'"),
        (
            ("header_row: 3", "header_row: third"),
            "line 32: profiles: acme: header_row: expected a whole number from 1 on, not 'third'",
        ),
        (
            ("delimiter: tab", "delimiter: tabs"),
            "line 32: profiles: acme: delimiter 'tabs' cannot separate cells: ",
        ),
        (
            ("Europe/Berlin", "Berlin"),
            "line 23: upload_format: time_zone 'Berlin' is unknown: did you mean Europe/Berlin?",
        ),
        (
            ("cp1252", ""),
            "line 23: upload_format: encoding: the value is missing: give one, or remove the key",
        ),
        (
            ("columns: {B", "columns: &x {B"),
            "line 24: &x is an anchor, which table files do not have: remove it",
        ),
        (("Orders of", "!!str Orders of"), "is a tag, which table files do not have: remove it"),
        (("name: orders", "name: orders\n\tschema: x"), "line 3: no valid YAML: "),
        (("orders", "ord\0ers"), "line 2: the character '\\x00' is not allowed in YAML: remove it"),
        (
            ("upsert", "upsert\n---\nname: b"),
            "line 21: no valid YAML: expected a single document in the stream",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_line_and_remedy(change: tuple[str, str], message: str) -> None:
    wrong = EXAMPLE.replace(*change)
    assert wrong != EXAMPLE

    with pytest.raises(DeclarationError) as refused:
        read(wrong)

    assert message in str(refused.value)
    assert str(refused.value).startswith("tables/t.yaml, line ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(
        DeclarationError, match=r"t\.yaml, line 1: the file is empty|expected keys with values"
    ):
        read(text)


def test_a_rule_without_a_name_in_a_module_is_not_written() -> None:
    def has_id(rows: Any) -> Any:
        return rows["id"].notna()

    rule = Rule("r", ("id",), has_id, "no")
    table = Table(name="t", columns=(Column(name="id", type=ColumnType.UUID),), rules=(rule,))

    with pytest.raises(DeclarationError, match=r"<locals>.has_id has no name in its module"):
        write_table(table)


def test_the_json_schema_accepts_what_is_read_and_refuses_unknown_keys() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    for table in [read(EXAMPLE), *tables.in_load_order()]:
        validator.validate(plain(table))
    with pytest.raises(jsonschema.ValidationError, match="'nme' was unexpected"):
        validator.validate(plain(read(EXAMPLE)) | {"nme": "t"})


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("[[order_no]]", (Key(("order_no",)),)),
        ("[[order_no, state], [paid]]", (Key(("order_no", "state")), Key(("paid",)))),
        ("[{columns: [state], nulls_distinct: false}]", (Key(("state",), nulls_distinct=False),)),
    ],
)
def test_unique_keys_are_lists_of_columns_or_say_more(written: str, keys: tuple[Key, ...]) -> None:
    table = read(EXAMPLE.replace("[[order_no]]", written))

    assert table.further_keys == keys
    assert plain(table)["unique_keys"] == yaml.safe_load(written)
    assert read(write_table(table)).further_keys == keys


def test_schema_prints_the_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    print_schema()

    assert json.loads(capsys.readouterr().out) == json_schema()


def test_every_field_of_a_declaration_has_a_key() -> None:
    """So that a new field is described, read and written; `passes` has a key of another name, `key_forms` are no
    declaration."""
    assert {field.name for field in fields(Column)} == {key.name for key in COLUMN.keys} | {"name"}
    assert {field.name for field in fields(Table)} - {"key_forms"} == {key.name for key in TABLE.keys}
    assert {field.name for field in fields(ForeignKey)} == {key.name for key in FOREIGN_KEY.keys}
    assert {field.name for field in fields(Key)} == {key.name for key in UNIQUE_KEY.keys}
    assert {field.name for field in fields(UploadFormat)} == {part.attribute for part in DECLARATIONS}
    assert [part.name for part in FORMAT_PARTS] == [key.name for key in UPLOAD_FORMAT.keys]
    assert {field.name for field in fields(Rule)} - {"passes"} == {key.name for key in RULE.keys} - {"check"}


@pytest.mark.parametrize(
    "to",
    [
        "uploader",
        "ann@example.com",
        "https://hooks.example.com/bulk",
        "http://10.0.0.7:8080/x",
        "$SALES_HOOK",
    ],
)
def test_a_table_file_names_who_is_told(to: str) -> None:
    table = read(
        f"name: t\ncolumns: {{a: {{}}}}\nnotify: [{{to: '{to}', on: [failed, late]}}, {{to: uploader}}]\n"
    )
    assert table.notify == (Subscription(to, (Event.FAILED, Event.LATE)), Subscription("uploader"))
    assert table.notify[1].on == (Event.REJECTED, Event.FAILED, Event.LATE)
    assert read(write_table(table)) == table


@pytest.mark.parametrize(
    "to",
    [
        "slack://T0/B0/hush",
        "mailto://u:hush@example.com",
        "https://u:hush@example.com/",
        "https://example.com/?token=hush",
        "SALES_HOOK",
    ],
)
def test_a_table_file_holds_no_secret_of_a_recipient(to: str) -> None:
    with pytest.raises(DeclarationError) as error:
        read(f"name: t\ncolumns: {{a: {{}}}}\nnotify: [{{to: '{to}'}}]\n")
    assert "line 3" in str(error.value)
    assert "or $NAME, the environment variable that holds a URL with secrets" in str(error.value)
    assert "hush" not in str(error.value)
