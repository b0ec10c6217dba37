"""Every declared table has samples: keys that differ, references that lead somewhere, and the failures that they say."""

import io
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bulk_pipeline.errors import SelectionError
from bulk_pipeline.samples.checksum import checksum
from bulk_pipeline.samples.defects import defects
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import ForeignKey, Mode, Table
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.split import split
from bulk_pipeline.stages.validate import validate
from bulk_pipeline_tests.rigs import shop
from bulk_pipeline_tests.rigs.related import (
    EVERY_TYPE,
    KEY_TYPES,
    LINES,
    ORDERS,
    PEOPLE,
    PROFILES,
    RELATED,
    SHIPMENTS,
    TAGS,
    column,
    refers,
    table,
)

BAD = Fraction(1, 5)
OTHERS = (*shop.EVERY, *RELATED)
PARENTS = {"related.people": 1000, "related.orders": 40, "related.lines": 60, "shop.orders": 50}


def sample_of(
    declared: Table, rows: int, bad: Fraction = Fraction(0), parents: Mapping[str, int] = PARENTS
) -> Sample:
    return Sample(declared, rows, 7, bad, parents, declared=(*OTHERS, declared))


def rows_of(sample: Sample) -> pa.Table:
    return pa.Table.from_batches(list(sample.good()))


class SampledParents:
    """References to the rows of the parents' samples."""

    def __init__(self, declared: Table) -> None:
        self._tables = {str(other.qualified_name): other for other in OTHERS}
        self._own = declared

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        parent = self._tables[str(key.parent)]
        rows = rows_of(sample_of(parent, PARENTS.get(str(key.parent), 500)))
        known = set(zip(*(rows[name].to_pylist() for name in key.references), strict=True))
        cells = zip(*(column.to_pylist() for column in values.columns), strict=True)
        return np.array([cell not in known for cell in cells], bool)


def imported(
    sample: Sample, format: Format, mode: Mode = Mode.INSERT_ONLY
) -> tuple[dict[str, int], int, int, int, Expected]:
    """Return failures by code, the numbers of rejected and good rows, and the checksum of the good ones."""
    out = io.BytesIO()
    expected = sample.write(out, format)[mode]
    declared, typed, failures = sample.table, [], []
    for chunk in open_upload(io.BytesIO(out.getvalue()), f"sample.{format}", table=declared, mode=mode):
        checked = validate(chunk.records, chunk.failures, declared, mode)
        typed.append(checked.rows)
        failures += [chunk.failures, checked.failures]
    rejected = np.unique(np.concatenate([entry["row"].to_numpy() for entry in failures]))
    parts = list(split(lambda: typed, rejected, declared, mode, SampledParents(declared)))
    failures += [part.failures for part in parts]
    good = [part.rows.filter(pa.array(~part.failed)) for part in parts]
    codes = Counter(code for entry in failures for code in entry["code"].to_pylist())
    total = sum(checksum(rows, sample.columns) for rows in good) % 2**64
    bad_rows = {row for entry in failures for row in entry["row"].to_pylist()}
    return dict(codes), len(bad_rows), sum(rows.num_rows for rows in good), total, expected


@pytest.mark.parametrize("declared", [*OTHERS, *KEY_TYPES], ids=lambda declared: declared.name)
def test_a_clean_sample_is_good_to_the_last_row(declared: Table) -> None:
    codes, rejected, good, total, expected = imported(sample_of(declared, 60), Format.CSV)

    assert (codes, rejected, good) == ({}, 0, 60)
    assert total == expected.checksum


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("declared", [*RELATED, shop.LOG], ids=lambda declared: declared.name)
def test_a_bad_sample_fails_exactly_as_it_says(declared: Table, format: Format) -> None:
    kinds = defects(declared, sample_of(declared, 1, BAD).relations, format)
    rows = 2 * len(kinds)

    codes, rejected, good, total, expected = imported(sample_of(declared, rows, Fraction(1, 2)), format)

    assert codes == expected.codes
    assert (rejected, good, total) == (rows // 2, rows // 2, expected.checksum)
    assert {*codes} == {kind.insert_only for kind in kinds}


@pytest.mark.parametrize("declared", [*OTHERS, *KEY_TYPES], ids=lambda declared: declared.name)
def test_keys_differ_from_row_to_row(declared: Table) -> None:
    rows = rows_of(sample_of(declared, 900))
    for key in declared.keys:
        if key.is_in(rows.column_names):
            values = rows.select(key.columns)
            assert values.group_by(key.columns).aggregate([]).num_rows == len(values)


def test_lines_of_an_order_stand_together_and_are_numbered() -> None:
    rows = rows_of(sample_of(LINES, 200))

    assert rows["order_id"].to_pylist()[:9] == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert rows["line_no"].to_pylist()[:9] == [1, 2, 3, 4, 1, 2, 3, 4, 1]
    assert rows["line_no"].to_pylist()[160:165] == [5, 6, 7, 8, 5]


def test_a_table_that_others_refer_to_has_its_numbers_in_the_file() -> None:
    names = [column.name for column in sample_of(ORDERS, 1).columns]

    assert "id" in names
    assert "made_at" not in names


def test_a_row_refers_to_itself_or_to_an_earlier_one_of_its_table() -> None:
    rows = rows_of(sample_of(PEOPLE, 300))
    ids = rows["id"].to_pylist()
    referrers = rows["referrer"].to_pylist()

    assert all(referrer <= own for own, referrer in zip(ids, referrers, strict=True) if referrer is not None)
    assert 0 < referrers.count(None) < 100
    assert len({*referrers}) > 50


def test_a_reference_over_several_columns_leads_to_one_row() -> None:
    lines = rows_of(sample_of(LINES, 60))
    known = {*zip(lines["order_id"].to_pylist(), lines["line_no"].to_pylist(), strict=True)}
    rows = rows_of(sample_of(SHIPMENTS, 300))
    found = [*zip(rows["order_id"].to_pylist(), rows["line_no"].to_pylist(), strict=True)]

    assert {*found} <= {*known, (None, None)}
    assert len({*found}) > 30


def test_rules_of_the_table_are_kept() -> None:
    rows = rows_of(sample_of(ORDERS, 300)).filter(pc.field("state") == "paid")

    assert len(rows) > 100
    assert rows["paid_on"].null_count == 0


def test_optional_cells_are_sometimes_null_and_required_ones_never() -> None:
    rows = rows_of(sample_of(PEOPLE, 500))

    assert [name for name in rows.column_names if rows[name].null_count] == ["city", "address", "referrer"]
    assert rows["address"].null_count == 500


def test_values_come_from_choices_patterns_and_the_range_of_types() -> None:
    people, orders = rows_of(sample_of(PEOPLE, 500)), rows_of(sample_of(ORDERS, 500))

    assert set(people["mood"].to_pylist()) == {"sad", "ok", "very happy"}
    assert pc.all(pc.match_substring_regex(orders["order_no"], r"\A[A-Z]-\d{4,6}\z")).as_py()
    assert max(map(len, filter(None, people["city"].to_pylist()))) <= 4


@pytest.mark.parametrize(
    ("declared", "rows"), [(LINES, 20_000), (EVERY_TYPE, 150)], ids=["lines", "every_type"]
)
def test_a_longer_sample_begins_like_a_shorter_one(declared: Table, rows: int) -> None:
    short, long = (io.BytesIO() for _ in range(2))
    sample_of(declared, 100, BAD).write(short)
    sample_of(declared, rows, BAD).write(long)

    assert long.getvalue().startswith(short.getvalue())


@pytest.mark.parametrize(
    ("declared", "rows", "sentence"),
    [
        (
            table("t", column("place", "related.place", required=True)),
            1,
            "table related.t: a sample needs values for place: nothing is known about values of its type "
            "related.place: declare `choices`",
        ),
        (
            table("t", column("a", required=True, pattern=r"\pL+", pattern_name="letters")),
            1,
            r"table related.t: a sample needs values for a: no text is found that matches its pattern \pL+",
        ),
        (
            table("t", column("a", "integer", required=True), foreign_keys=(refers("a", "nowhere", "id"),)),
            1,
            "table related.t: a sample needs values for a, which refers to related.nowhere: no table of that name is "
            "declared, or its sample has no such columns",
        ),
        (
            table("t", column("a", "inet", required=True), primary_key=("a",)),
            1,
            "table related.t: a sample cannot make the key (a) differ from row to row: its columns are also in "
            "another key, or nothing is known about different values of their types",
        ),
        (
            PROFILES,
            1001,
            "table related.profiles: the key (person) has 1,000 different values in a sample: ask for fewer rows, or for "
            "more rows of the tables that it refers to",
        ),
    ],
    ids=["type", "pattern", "parent", "key", "rows"],
)
def test_a_table_that_has_no_samples_says_which_column_needs_what(
    declared: Table, rows: int, sentence: str
) -> None:
    with pytest.raises(SelectionError) as refused:
        sample_of(declared, rows).write(io.BytesIO())
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("type_", "limits"),
    [
        ("smallint", {"minimum": "-3", "maximum": "3"}),
        ("numeric(4,2)", {"above": "0", "below": "0.1"}),
        ("numeric", {"above": "-1", "below": "0"}),
        ("real", {"below": "-5"}),
        ("date", {"minimum": "2030-01-31", "maximum": "2030-02-02"}),
        ("timestamp with time zone", {"above": "2030-01-31T12:00:00Z"}),
    ],
)
@pytest.mark.parametrize("key", [(), ("c",)])
def test_values_are_inside_the_limits_of_a_column(
    type_: str, limits: dict[str, str], key: tuple[str, ...]
) -> None:
    declared = table("limits", column("c", type_, required=True, **limits), column("note"), primary_key=key)
    rows = 3 if key else 200
    failed, rejected, good, *_ = imported(sample_of(declared, rows), Format.CSV)
    assert (failed, rejected, good) == ({}, 0, rows)


def test_tables_of_two_references_pair_their_parents() -> None:
    rows = rows_of(sample_of(TAGS, 2000))

    assert len({*rows["order_id"].to_pylist()}) == 40
    assert len({*rows["person"].to_pylist()}) == 1000


def test_a_sample_has_a_column_of_every_type() -> None:
    rows = rows_of(sample_of(EVERY_TYPE, 50))
    assert all(rows[name].null_count < 25 for name in rows.column_names)
