"""A bad declaration fails when it is made, with a sentence."""

import re

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, ColumnType, ForeignKey, Mode, Rule, Table, patterns

ID = Column(name="id", type=ColumnType.UUID)
NAME = Column(name="name", required=True)


def rule(name: str, *columns: str) -> Rule:
    return Rule(name=name, columns=columns, passes=lambda rows: rows.notna().all(axis=1), message="no")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "First Name"}, "column name 'First Name': use lower-case letters"),
        ({"name": "a", "type": ColumnType.BOOLEAN, "max_length": 3}, "are for text, not boolean"),
        ({"name": "a", "pattern": "x"}, "give pattern and pattern_name together"),
        ({"name": "a", "choices": ("b",), "default": "c"}, "default 'c' is not one of its choices"),
        ({"name": "a", "type": ColumnType.BOOLEAN, "default": "yes"}, "default 'yes' is not of type boolean"),
        ({"name": "a", "prefix": "a_"}, "prefix is for uuid, not text"),
    ],
)
def test_a_bad_column_is_refused_with_a_sentence(fields: dict, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Column(**fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"columns": (ID, NAME, NAME)}, "table t: column name is declared twice"),
        ({"columns": (NAME,)}, "table t: declare a column id of type uuid"),
        ({"columns": (Column(name="id"),)}, "table t: declare a column id of type uuid"),
        ({"columns": (ID,), "natural_key": "name"}, "table t: natural key name is not a column"),
        (
            {"columns": (ID, Column(name="name")), "natural_key": "name"},
            "table t: natural key name must be required",
        ),
        (
            {"columns": (ID,), "foreign_keys": (ForeignKey("a_id", "a"),)},
            "a foreign key names a_id, which is not a column",
        ),
        (
            {"columns": (ID, NAME), "foreign_keys": (ForeignKey("name", "a"),)},
            "foreign key name must be of type uuid",
        ),
        ({"columns": (ID,), "rules": (rule("r", "b"),)}, "rule r names b, which is not a column"),
        ({"columns": (ID,), "rules": (rule("r", "id"), rule("r", "id"))}, "two rules have the same name"),
    ],
)
def test_a_bad_table_is_refused_with_a_sentence(fields: dict, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Table(name="t", **fields)


@pytest.mark.parametrize(
    ("natural_key", "id_optional", "mode", "required"),
    [
        ("name", False, Mode.INSERT_ONLY, ("id", "name")),
        ("name", False, Mode.UPSERT, ("name",)),
        ("name", True, Mode.INSERT_ONLY, ("name",)),
        (None, False, Mode.INSERT_ONLY, ("id", "name")),
        (None, False, Mode.UPSERT, ("id", "name")),
    ],
)
def test_an_id_is_required_unless_the_mode_can_do_without(
    natural_key: str | None, id_optional: bool, mode: Mode, required: tuple[str, ...]
) -> None:
    table = Table(name="t", columns=(ID, NAME), natural_key=natural_key, id_optional=id_optional)

    assert table.required_columns(mode) == required


@pytest.mark.parametrize("pattern", ["(x", "(?=x)"])
def test_a_pattern_that_arrow_cannot_run_is_refused_with_a_sentence(pattern: str) -> None:
    table = Table(name="t", columns=(ID, Column(name="a", pattern=pattern, pattern_name="x")))
    with pytest.raises(
        DeclarationError, match=re.escape(f"table t: column a: pattern {pattern!r} is not an RE2")
    ):
        patterns.check(table)
