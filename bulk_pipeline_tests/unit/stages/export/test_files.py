"""Rows in each format."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from pyarrow import parquet

from bulk_pipeline.errors import SelectionError, UnwritableValueError
from bulk_pipeline.schema import Column, Table
from bulk_pipeline.schema.types import FIRST_INSTANT, LAST_INSTANT
from bulk_pipeline.schema.types.timestamp import INSTANT
from bulk_pipeline.stages import spreadsheets
from bulk_pipeline.stages.export.formats import Compression, Format, compressions
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline.stages.export.writers import writer
from bulk_pipeline_tests.unit.stages.export.rows import COLUMNS, NEW_YEAR, batch, layout
from bulk_pipeline_tests.unit.stages.parse.reading import read

KINDS = [(format_, compression) for format_ in Format for compression in compressions(format_)]
FULL = {
    "id": 1, "owner": 2, "name": "Ann", "active": True, "tags": ["a", 'say "b"\n'], "made_at": NEW_YEAR,
}  # fmt: skip


def written(file_layout: Layout, *batches: pa.RecordBatch) -> bytes:
    out = io.BytesIO()
    part = write_file(batches, file_layout, out)
    assert (part.rows, part.bytes) == (sum(b.num_rows for b in batches), len(out.getvalue()))
    return out.getvalue()


def test_csv_quotes_every_text_and_nothing_that_has_no_value() -> None:
    rows = batch(COLUMNS, FULL, {}, {**FULL, "name": "", "tags": [], "active": False})
    ids = '"cm_00000000-0000-0000-0000-000000000001","00000000-0000-0000-0000-000000000002"'
    assert written(layout(Format.CSV), rows).decode().splitlines() == [
        "id,owner,name,active,tags,made_at",
        f'{ids},"Ann",true,"[""a"",""say \\""b\\""\\n""]","2026-01-01T00:00:00.000001Z"',
        ",,,,,",
        f'{ids},"",false,"[]","2026-01-01T00:00:00.000001Z"',
    ]


@pytest.mark.parametrize(("format_", "compression"), KINDS)
def test_an_export_without_rows_is_read_back_as_one(format_: Format, compression: Compression) -> None:
    file_layout = layout(format_, compression=compression)
    result = read(written(file_layout), f"t{file_layout.extension}", Table(name="t", columns=COLUMNS))
    assert (result.rows, result.failures, result.warnings) == ({}, [], ["the file has no rows"])


def test_times_are_written_the_same_in_runs_and_alone() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    times = [NEW_YEAR, NEW_YEAR, NEW_YEAR, None, None, first, first, last]
    together = batch(COLUMNS, *[{"made_at": time} for time in times])
    alone = [batch(COLUMNS, {"made_at": time}) for time in times]
    for format_ in (Format.CSV, Format.NDJSON, Format.TSV, Format.JSON):
        assert written(layout(format_), together) == written(layout(format_), *alone)


def test_ndjson_has_every_column_in_every_row() -> None:
    rows = batch(COLUMNS, FULL, {}, {"tags": [None]})
    full, empty, null_tag = map(json.loads, written(layout(Format.NDJSON), rows).splitlines())
    assert full == {
        "id": "cm_00000000-0000-0000-0000-000000000001",
        "owner": "00000000-0000-0000-0000-000000000002",
        "name": "Ann",
        "active": True,
        "tags": ["a", 'say "b"\n'],
        "made_at": "2026-01-01T00:00:00.000001Z",
    }
    assert empty == dict.fromkeys(full)
    assert null_tag == {**empty, "tags": [None]}


def test_tsv_is_csv_with_tabs() -> None:
    rows = batch(COLUMNS, {**FULL, "name": "a\tb"}, {})
    assert written(layout(Format.TSV, "name", "active", "made_at"), rows.select(["name", "active", "made_at"])) == (
        b"name\tactive\tmade_at\n"
        b'"a\tb"\ttrue\t"2026-01-01T00:00:00.000001Z"\n'
        b"\t\t\n"
    )  # fmt: skip


def test_json_is_an_array_of_the_objects_that_ndjson_has() -> None:
    rows = batch(COLUMNS, FULL, {}, {"tags": [None]})
    array = written(layout(Format.JSON), rows.slice(0, 1), rows.slice(1))
    lines = written(layout(Format.NDJSON), rows)
    assert array == b"[\n" + lines.removesuffix(b"\n").replace(b"\n", b",\n") + b"\n]\n"
    assert json.loads(array) == [json.loads(line) for line in lines.splitlines()]


def test_parquet_keeps_types() -> None:
    rows = batch(COLUMNS, FULL, {})
    result = parquet.read_table(io.BytesIO(written(layout(Format.PARQUET), rows)))
    assert result.schema.field("made_at").type == pa.timestamp("us", "UTC")
    ids = {"id": "cm_00000000-0000-0000-0000-000000000001", "owner": "00000000-0000-0000-0000-000000000002"}
    assert result.to_pylist() == [{**FULL, **ids}, dict.fromkeys(FULL)]


def test_the_first_batch_of_parquet_is_there_at_once_and_later_ones_share_a_row_group() -> None:
    out = io.BytesIO()
    file = writer(layout(Format.PARQUET), out)
    sizes = [len(out.getvalue())]
    for _ in range(4):
        file.write(batch(COLUMNS, *[FULL] * 100))
        sizes.append(len(out.getvalue()))
    file.close()
    assert sizes[0] < 100 < sizes[1]
    assert sizes[2:] == [sizes[1]] * 3
    groups = parquet.ParquetFile(out).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [100, 300]


@pytest.mark.parametrize(("format_", "compression"), KINDS)
def test_every_compression_holds_the_same(format_: Format, compression: Compression) -> None:
    rows = batch(COLUMNS, *[FULL] * 100)
    plain = written(layout(format_), rows)
    packed = written(layout(format_, compression=compression), rows)
    assert packed == written(layout(format_, compression=compression), rows), (
        "the same rows are the same bytes"
    )
    if format_ is Format.PARQUET:
        assert parquet.read_table(io.BytesIO(packed)) == parquet.read_table(io.BytesIO(plain))
    elif format_ is not Format.XLSX:
        unpack = {
            Compression.NONE: bytes,
            Compression.GZIP: gzip.decompress,
            Compression.ZSTD: lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        }
        assert unpack[compression](packed) == plain


@pytest.mark.parametrize("format_", Format)
def test_without_rows_the_columns_are_still_written(format_: Format) -> None:
    empty = written(layout(format_, "id", "name"))
    match format_:
        case Format.CSV:
            assert empty == b"id,name\n"
        case Format.TSV:
            assert empty == b"id\tname\n"
        case Format.NDJSON:
            assert empty == b""
        case Format.JSON:
            assert empty == b"[]\n"
        case Format.PARQUET:
            assert parquet.read_schema(io.BytesIO(empty)).names == ["id", "name"]
        case Format.XLSX:
            assert [*load_workbook(io.BytesIO(empty)).worksheets[0].values] == [("id", "name")]


@pytest.mark.parametrize("format_", Format)
def test_slices_are_written_like_whole_batches(format_: Format) -> None:
    rows = batch(
        COLUMNS, *({**FULL, "id": n, "name": f"Ann {n}", "owner": n if n % 2 else None} for n in range(9))
    )
    cut = written(layout(format_), rows.slice(0, 2), rows.slice(2, 3), rows.slice(5))
    whole = written(layout(format_), rows)
    if format_ is Format.PARQUET:
        assert parquet.read_table(io.BytesIO(cut)) == parquet.read_table(io.BytesIO(whole))
    else:
        assert cut == whole


def test_one_column_of_null_in_csv_is_no_blank_line() -> None:
    rows = batch(layout(Format.CSV, "name").columns, {}, {"name": "x"})
    assert written(layout(Format.CSV, "name"), rows) == b'name\n""\n"x"\n'


def test_it_is_one_where_the_table_has_empty_rows() -> None:
    rows = batch(layout(Format.CSV, "name").columns, {}, {"name": ""}, {"name": "x"})
    assert written(layout(Format.CSV, "name", has_empty_rows=True), rows) == b'name\n\n""\n"x"\n'


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | st.lists(TEXTS)), min_size=1))
def test_any_text_is_read_back_as_it_was(found: list[tuple[str | None, list[str] | None]]) -> None:
    file_layout = layout(Format.CSV, "name", "tags")
    rows = batch(file_layout.columns, *({"name": name, "tags": tags} for name, tags in found))
    _, *read = csv.reader(io.StringIO(written(file_layout, rows).decode(), newline=""), strict=True)
    assert [(name, json.loads(tags or "null")) for name, tags in read] == [
        (name or "", tags) for name, tags in found
    ]
    lines = written(layout(Format.NDJSON, "name", "tags"), rows).decode().removesuffix("\n").split("\n")
    assert [tuple(json.loads(line).values()) for line in lines] == found
    array = json.loads(written(layout(Format.JSON, "name", "tags"), rows))
    assert [tuple(row.values()) for row in array] == found


def test_names_of_columns_are_quoted_where_they_need_it() -> None:
    names = ['x"y', "a,b", "a\tb", "a\nb\\", " a ", "'", "ä"]
    columns = tuple(Column(name=name) for name in names)
    rows = batch(columns, dict.fromkeys(names, "v"))
    for format_, delimiter in ((Format.CSV, ","), (Format.TSV, "\t")):
        text = written(Layout(columns, format_), rows).decode()
        assert next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) == names
    assert list(json.loads(written(Layout(columns, Format.NDJSON), rows))) == names
    assert list(json.loads(written(Layout(columns, Format.JSON), rows))[0]) == names


def test_defused_cells_begin_with_an_apostrophe_and_the_header_says_so() -> None:
    file_layout = layout(Format.CSV, "id", "name", for_spreadsheets=True)
    rows = batch(
        file_layout.columns, *({"name": name} for name in ("=1+1", "@x", "'tis", "plain", "a=b", "", None))
    )
    assert written(file_layout, rows).decode().splitlines() == [
        "\ufeffid,name,_defused", ',"\'=1+1",', ',"\'@x",', ',"\'\'tis",', ',"plain",', ',"a=b",', ',"",', ",,",
    ]  # fmt: skip


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63), LAST_INSTANT + 1, FIRST_INSTANT - 1])
def test_a_time_that_no_file_can_hold_is_refused(microseconds: int) -> None:
    times = pa.array([FIRST_INSTANT, microseconds, LAST_INSTANT]).cast(INSTANT)
    with pytest.raises(
        UnwritableValueError, match=r"made_at holds a time .* filter like made_at<=9999-12-31"
    ):
        written(layout(Format.CSV, "made_at"), pa.RecordBatch.from_arrays([times], ["made_at"]))


@pytest.mark.parametrize("format_", [format_ for format_ in Format if format_ is not Format.CSV])
def test_only_csv_is_for_spreadsheets(format_: Format) -> None:
    with pytest.raises(SelectionError, match="for_spreadsheets is for csv, not"):
        layout(format_, for_spreadsheets=True)


@given(st.lists(st.none() | TEXTS | st.tuples(st.sampled_from("=+-@\t\r\n'＝"), TEXTS).map("".join)))
def test_defused_texts_are_restored(found: list[str | None]) -> None:
    defused = spreadsheets.defused(pa.array(found, pa.string()))
    assert not any((text or "x")[0] in "=+-@\t\r\n＝＋－＠" for text in defused.to_pylist() if text != "")
    assert spreadsheets.restored(defused).to_pylist() == found
