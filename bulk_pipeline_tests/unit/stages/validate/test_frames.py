"""The pandera schema that follows from a declaration."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import Column, ColumnType, Mode, Rule, Table
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.validate.frames import broken, frame_schema

ID = Column(name="id", type=ColumnType.UUID)


def table_with(*columns: Column, rules: tuple[Rule, ...] = ()) -> Table:
    return Table(name="t", columns=(ID, *columns), rules=rules)


def frame(**cells: list[str | None]) -> pd.DataFrame:
    columns = {
        name: pd.arrays.ArrowExtensionArray(pa.array(text, pa.string())) for name, text in cells.items()
    }
    return pd.DataFrame(columns)


def breaks(table: Table, **cells: list[str | None]) -> list[tuple[str | None, str, list[bool]]]:
    result = broken(table, Mode.INSERT_ONLY, frame(**cells))
    return [(one.column, one.check, one.rows.tolist()) for one in result]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", tables.names())
def test_every_declared_table_gives_a_schema_of_arrow_types(name: str, mode: Mode) -> None:
    table = tables.get(name)
    schema = frame_schema(table, mode)

    types = {column.name: pd.ArrowDtype(codec_of(column).arrow) for column in table.columns}
    assert {name: column.dtype.type for name, column in schema.columns.items()} == types
    assert tuple(name for name, column in schema.columns.items() if column.required) == (
        table.required_columns(mode)
    )


@pytest.mark.parametrize(
    ("column", "right", "wrong", "check"),
    [
        (Column(name="a", required=True), "x", "", "required"),
        (Column(name="a", required=True), " x", None, "required"),
        (Column(name="a", required=True), "x", "\u00a0 ", "required"),
        (Column(name="a", required=True, blank=True), "", None, "required"),
        (Column(name="a", required=True, blank=True), "\u00a0 ", None, "required"),
        (Column(name="a"), "x", "x\0", "nul"),
        (Column(name="a", max_length=3), "äöü", "äöüß", "max_length"),
        (Column(name="a", max_words=2), " one\u3000two ", "one two\nthree", "max_words"),
        (Column(name="a", choices=("b", "c")), "c", "C", "choices"),
        (Column(name="a", pattern="b+|c", pattern_name="bs"), "bb", "bbc", "pattern"),
        (Column(name="a", pattern="b+|c", pattern_name="bs"), "c", "c\n", "pattern"),
    ],
)
def test_a_limit_is_broken_by_the_cells_past_it_and_no_other(
    column: Column, right: str, wrong: str | None, check: str
) -> None:
    assert breaks(table_with(column), a=[right, wrong, right]) == [("a", check, [False, True, False])]


@pytest.mark.parametrize(
    "column",
    [
        Column(name="a", max_length=3),
        Column(name="a", max_words=1),
        Column(name="a", choices=("b",)),
        Column(name="a", pattern="b", pattern_name="b"),
    ],
)
def test_null_breaks_no_limit_and_a_column_may_be_absent(column: Column) -> None:
    assert breaks(table_with(column), a=["b", None]) == []
    assert breaks(table_with(column), id=["x"]) == []


def test_a_word_limit_counts_words_not_bytes() -> None:
    words = table_with(Column(name="a", max_words=2))

    assert breaks(words, a=["incomprehensibilities antidisestablishmentarianism", None]) == []


def test_a_rule_sees_absent_columns_as_null_and_unknown_counts_as_kept() -> None:
    seen: set[tuple[object, ...]] = set()

    def passes(rows: pd.DataFrame) -> pd.Series:
        seen.add(tuple(rows["b"].isna()))
        return pd.Series(rows["a"] == "x", rows.index)

    rule = Rule(name="is_x", columns=("a", "b"), passes=passes, message="not x")

    assert breaks(table_with(Column(name="a"), Column(name="b"), rules=(rule,)), a=["x", "y", None]) == [
        (None, "rule:is_x", [False, True, False])
    ]
    assert seen == {(True, True, True)}


def _raises(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(rows["no such column"])


def _answers_once(rows: pd.DataFrame) -> bool:
    return False


def _answers_for_fewer(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(rows["a"].notna()).head(1)


@pytest.mark.parametrize("passes", [_raises, _answers_once, _answers_for_fewer])
def test_a_rule_that_does_not_answer_is_an_error_and_never_data(passes: Callable) -> None:
    rule = Rule(name="sick", columns=("a",), passes=passes, message="never seen")

    with pytest.raises(DeclarationError, match=r"t: rule:sick could not be run: .*(KeyError|TypeError)"):
        breaks(table_with(Column(name="a"), rules=(rule,)), a=["x", None])


def test_a_frame_without_a_required_column_is_an_error_and_never_data() -> None:
    with pytest.raises(DeclarationError, match="column 'a' not in dataframe"):
        breaks(table_with(Column(name="a", required=True)), id=["x"])


def test_a_frame_of_another_type_is_an_error_and_never_data() -> None:
    with pytest.raises(DeclarationError, match="expected series 'a' to have type"):
        breaks(table_with(Column(name="a", type=ColumnType.BOOLEAN)), a=["x"])
