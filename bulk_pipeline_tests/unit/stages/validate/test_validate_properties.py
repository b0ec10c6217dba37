"""Properties of validation for arbitrary rows."""

from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.validate import ValidationResult, validate
from bulk_pipeline_tests.unit.stages.rows import GOOD, records

# (table, column, text): each breaks exactly one rule of its cell.
BAD_CELLS = [
    ("users", "id", "7"),
    ("users", "email", "foo@bar"),
    ("users", "name", ""),
    ("users", "name", "N\0"),
    ("users", "role", "boss"),
    ("users", "active", "maybe"),
    ("customers", "first_name", "x" * 151),
    ("customers", "created_at", "2024-02-30"),
    ("articles", "slug", "No Slug"),
    ("articles", "tags", "a,b"),
    ("articles", "published_at", "soon"),
    ("articles", "author_id", None),
    ("comments", "id", "cm_"),
    ("comments", "body", "w " * 501),
]


def check(table: str, rows: list[dict[str, str | None]]) -> ValidationResult:
    return validate(records(rows), none(), tables.get(table), Mode.INSERT_ONLY)


@given(bad=st.sampled_from(BAD_CELLS), before=st.integers(0, 300), after=st.integers(0, 300))
def test_one_bad_cell_gives_one_failure_and_leaves_every_other_row_good(
    bad: tuple[str, str, str | None], before: int, after: int
) -> None:
    table, column, text = bad
    good = GOOD[table]

    checked = check(table, [good] * before + [{**good, column: text}] + [good] * after)

    assert checked.failures.select(["row", "column"]).to_pylist() == [{"row": before + 1, "column": column}]
    right = check(table, [good]).rows.to_pylist()[0]
    values = checked.rows.drop_columns(["_row", "_line"]).to_pylist()
    del right["_row"], right["_line"]
    assert values == [right] * before + [{**right, column: None}] + [right] * after


CELLS = st.sampled_from(
    [None, "", "x", "admin", "ann@example.com", "true", "2026-01-31", "7", "\0", "é" * 400]
)


@given(
    rows=st.lists(st.fixed_dictionaries(dict.fromkeys(GOOD["users"], CELLS)), min_size=1),
    cut=st.integers(0, 9),
)
def test_how_rows_are_cut_into_batches_changes_nothing(rows: list[dict[str, str | None]], cut: int) -> None:
    whole = records(rows)
    users = tables.get("users")
    parts = [part for part in (whole.slice(0, cut), whole.slice(cut)) if part.num_rows]

    checked = validate(whole, none(), users, Mode.INSERT_ONLY)
    pieces = [validate(part, none(), users, Mode.INSERT_ONLY) for part in parts]

    assert checked.rows.to_pylist() == [row for piece in pieces for row in piece.rows.to_pylist()]
    assert checked.failures.to_pylist() == [one for piece in pieces for one in piece.failures.to_pylist()]


@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(GOOD["articles"], CELLS)), min_size=1))
def test_a_cell_has_at_most_one_failure_of_each_code_and_is_null_if_it_has_any(
    rows: list[dict[str, str | None]],
) -> None:
    checked = check("articles", rows)

    seen = [(one["row"], one["column"], one["code"]) for one in checked.failures.to_pylist()]
    assert len(set(seen)) == len(seen)
    typed = {row["_row"]: row for row in checked.rows.to_pylist()}
    assert all(typed[row][column] is None for row, column, _ in seen if column is not None)
