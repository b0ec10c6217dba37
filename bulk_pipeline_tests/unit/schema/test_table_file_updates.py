"""A table file follows its table, and keeps what was written by hand."""

from typing import Any

import pytest

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.table_files.update import Update, update

FILE = """\
# Orders of the shop.
schema: shop
name: orders  # as in the database
columns:
  id: {type: bigint, identity: by default}

  # ours
  order_no:
    type: character varying(8)
    pattern: '[A-Z]+'   # no digits
    pattern_name: letters
    generated: default
  mood: {type: shop.mood, choices: [sad, ok]}
  gone: {type: date}
  paid_at: {type: timestamptz}
  ref: {type: uuid, generated: uuid}
primary_key: [id]
rules: []
"""
SAME: dict[str, Any] = {
    "columns": {
        "id": {"type": "bigint", "identity": "by default"},
        "order_no": {"type": "character varying(8)", "generated": "default"},
        "mood": {"type": "shop.mood", "choices": ["sad", "ok"]},
        "gone": {"type": "date"},
        "paid_at": {"type": "timestamp with time zone"},
        "ref": {"type": "uuid", "generated": "default"},
    },
    "primary_key": ["id"],
}


def updated(
    text: str = FILE, primary_key: list[str] | None = None, **columns: dict[str, Any] | None
) -> Update:
    """Return the update after changes of columns; one that is None is gone."""
    changed = {name: value for name, value in (SAME["columns"] | columns).items() if value is not None}
    return update(text, "t.yaml", {"columns": changed, "primary_key": primary_key or ["id"]})


def test_a_file_that_follows_stays_as_it_is() -> None:
    assert updated() == Update(FILE, ())


@pytest.mark.parametrize(
    ("columns", "before", "after", "change"),
    [
        (
            {"order_no": {"type": "text", "generated": "default"}},
            "type: character varying(8)\n    pattern: '[A-Z]+'   # no digits",
            "type: text\n    pattern: '[A-Z]+'   # no digits",
            "column order_no: type: character varying(8) becomes text",
        ),
        (
            {"order_no": {"type": "character varying(8)"}},
            "    pattern_name: letters\n    generated: default\n",
            "    pattern_name: letters\n",
            "column order_no: generated: no longer",
        ),
        (
            {"order_no": {"type": "character varying(8)", "identity": "serial"}},
            "    type: character varying(8)\n",
            "    type: character varying(8)\n    identity: serial\n",
            "column order_no: identity: now serial",
        ),
        (
            {"mood": {"type": "shop.mood", "choices": ["sad", "ok", "happy"]}},
            "{type: shop.mood, choices: [sad, ok]}",
            "{type: shop.mood, choices: [sad, ok, happy]}",
            "column mood: choices: [sad, ok] becomes [sad, ok, happy]",
        ),
        ({"gone": None}, "  gone: {type: date}\n", "", "column gone is gone"),
        (
            {"total": {"type": "numeric(12,2)", "required": True}},
            "  ref: {type: uuid, generated: uuid}\n",
            '  ref: {type: uuid, generated: uuid}\n  total: {type: "numeric(12,2)", required: true}\n',
            "column total is new, numeric(12,2)",
        ),
    ],
)
def test_what_the_database_decides_is_changed_and_nothing_else(
    columns: dict[str, Any], before: str, after: str, change: str
) -> None:
    found = updated(**columns)

    assert change in found.changes
    assert after in found.text
    if len(found.changes) == 1:
        assert found.text == FILE.replace(before, after)


def test_new_columns_stand_in_the_order_of_the_table_also_where_all_others_are_gone() -> None:
    new = {name: {"type": "date"} for name in "cab"}
    found = update("name: t\ncolumns:\n  old: {type: text}\n", "t.yaml", {"columns": new})
    assert found.text == "name: t\ncolumns:\n  c: {type: date}\n  a: {type: date}\n  b: {type: date}\n"


def test_the_primary_key_follows() -> None:
    found = updated(primary_key=["id", "order_no"])
    assert found.changes == ("primary_key: [id] becomes [id, order_no]",)
    assert found.text == FILE.replace("primary_key: [id]", "primary_key: [id, order_no]")


def test_a_file_without_a_last_line_end_gets_a_new_column_on_a_line_of_its_own() -> None:
    found = update(
        "name: t\ncolumns:\n  a: {type: text}",
        "t.yaml",
        {"columns": {"a": {"type": "text"}, "b": {"type": "date"}}},
    )
    assert found.text == "name: t\ncolumns:\n  a: {type: text}\n  b: {type: date}\n"


def test_a_file_that_cannot_be_changed_in_place_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"t\.yaml, line 1: the file cannot be changed in place"):
        update("{name: t, columns: {a: {type: text}}}", "t.yaml", {"columns": {"b": {"type": "text"}}})
