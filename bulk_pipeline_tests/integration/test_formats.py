"""Equal rows in every format and packing end in equal tables."""

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline import tables
from bulk_pipeline.samples.checksum import checksum, checksum_sql
from bulk_pipeline.schema.types import codec_of
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.examples import have_parents, uid
from bulk_pipeline_tests.rigs.packing import PACK
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

ARTICLES = tables.get("articles")
COLUMNS = ("id", "slug", "title", "body", "author_id", "tags", "published_at", "status")
TEXTS = [
    "plain",
    "a,b;c\td|e",
    'say "hi"',
    "line\nbreak",
    "ünïcödé 文件 😀",
    "NULL",
    "true",
    "007",
    "[1]",
    "{}",
    "\\N",
]
TAGS = [None, [], ["a"], ["a b", "c,d", 'e"f', "", "ü"], ["[]", "null"]]
Value = str | list[str] | datetime | None
ROWS: list[dict[str, Value]] = [
    {
        "id": uid(number),
        "slug": f"slug-{number}",
        "title": TEXTS[number % len(TEXTS)],
        "body": TEXTS[(number // 2) % len(TEXTS)],
        "author_id": uid(1),
        "tags": TAGS[number % len(TAGS)],
        "published_at": datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC) + timedelta(days=number)
        if number % 3
        else None,
        "status": "published",
    }
    for number in range(2, 60)
]
TYPED = pa.RecordBatch.from_pylist(
    ROWS, pa.schema([(name, codec_of(ARTICLES.column(name)).arrow) for name in COLUMNS])
)


def delimited(delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for row in ROWS:
        writer.writerow(_text_cell(row[name]) for name in COLUMNS)
    return out.getvalue().encode()


def in_parquet() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_batches([TYPED]), out, row_group_size=20)
    return out.getvalue()


def in_sheet() -> bytes:
    return workbook([COLUMNS, *([_sheet_cell(row[name]) for name in COLUMNS] for row in ROWS)])


def _sheet_cell(value: Value) -> str | datetime | None:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else _text_cell(value)


def _text_cell(value: Value) -> str | datetime | None:
    return json.dumps(value) if isinstance(value, list) else value


FORMATS: dict[str, tuple[str, bytes]] = {
    "commas.csv": ("csv", delimited(",")),
    "tabs.tsv": ("csv", delimited("\t")),
    "semicolons.csv": ("csv", delimited(";")),
    "lines.ndjson": ("ndjson", b"".join(orjson.dumps(row) + b"\n" for row in ROWS)),
    "array.json": ("json", orjson.dumps(ROWS, option=orjson.OPT_INDENT_2)),
    "columns.parquet": ("parquet", in_parquet()),
    "sheet.xlsx": ("xlsx", in_sheet()),
}
PACKED = {"": None, ".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".zip": "zip"}


def test_the_same_rows_in_any_format_and_packing_are_the_same_rows(pipeline: Pipeline) -> None:
    have_parents(pipeline)
    files = {
        f"articles/upsert/{name}{suffix}": (format_, PACKED[suffix], pack(content))
        for name, (format_, content) in FORMATS.items()
        for suffix, pack in PACK.items()
    }
    for key, (_, _, content) in files.items():
        pipeline.drop(key, content)
    pipeline.work_off()

    jobs = {key: pipeline.job(key) for key in files}
    counts = Counter(pipeline.counts(job) for job in jobs.values())
    rows = len(ROWS)
    assert counts == {
        Counts(total=rows, inserted=rows): 1,
        Counts(total=rows, unchanged=rows): len(files) - 1,
    }
    assert {key: job.warnings for key, job in jobs.items() if job.warnings} == {}
    for key, (format_, compression, _) in files.items():
        dialect = jobs[key].dialect or {}
        assert (dialect["format"], dialect["compression"]) == (format_, compression)
    query = checksum_sql(ARTICLES, COLUMNS) + f" WHERE id <> '{uid(1)}'"
    assert pipeline.query(query) == [(rows, checksum(TYPED, [*map(ARTICLES.column, COLUMNS)]))]
