"""Types of columns: read from the texts that Postgres writes, and back."""

import copy
import pickle

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import ColumnType, column_type
from bulk_pipeline.schema.families import FAMILIES


@pytest.mark.parametrize("type_", column_type.examples(), ids=str)
def test_a_type_is_read_back_from_its_text_as_the_same_object(type_: ColumnType) -> None:
    assert column_type.parse(str(type_)) is type_
    assert copy.deepcopy(type_) is type_
    assert pickle.loads(pickle.dumps(type_)) is type_


def test_every_family_is_known_by_its_name() -> None:
    shown = {type_.family for type_ in column_type.examples()}

    assert shown >= {family for family in FAMILIES if family.examples}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bool", "boolean"),
        ("timestamptz", "timestamp with time zone"),
        (" Timestamp  WITH time zone ", "timestamp with time zone"),
        ("TEXT []", "text[]"),
        ("int4", "integer"),
        ("varchar(20)", "character varying(20)"),
        ("char", "character(1)"),
        ("decimal ( 12 , 2 )", "numeric(12,2)"),
        ("numeric(5)", "numeric(5,0)"),
        ("timestamp(3)", "timestamp(3) without time zone"),
        ("int[ ] []", "integer[][]"),
        ('Shop."Odd Type"', 'shop."Odd Type"'),
        ("geometry(Point,4326)", "geometry(Point,4326)"),
    ],
)
def test_a_type_has_other_names(text: str, name: str) -> None:
    assert str(column_type.parse(text)) == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("txt", "unknown type 'txt': did you mean text?"),
        (
            "mood",
            "unknown type 'mood': A type of the database's own is named with its schema, like public.mood",
        ),
        ("time(9)", "type 'time(9)': write time without time zone or time(digits) without time zone"),
        ("varchar(0)", "type 'varchar(0)': write character varying(length)"),
        ("text(3)", "type 'text(3)': it takes no parameters"),
        ("text; drop", "type 'text; drop': write it as Postgres does"),
        ("", "type '': write it as Postgres does"),
    ],
)
def test_an_unknown_type_is_a_declaration_error_that_names_the_nearest(text: str, sentence: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        column_type.parse(text)

    assert str(refusal.value).startswith(sentence)
