"""Typical workbooks, and numbers in Parquet: the values in the table."""

import io
import json
import struct
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.unit.stages.parse.workbook import Raw, Tab, Value, failed, workbook, workbook_of

HEADER: list[Value] = ["email", "phone", "city"]
OLD: list[list[Value]] = [HEADER, ["old@x.co", "1", "Rome"]]
NEW: list[list[Value]] = [HEADER, ["new@x.co", "2", "Oslo"]]


def customers(pipeline: Pipeline) -> list[tuple[str | None, ...]]:
    return pipeline.query("SELECT email, phone, city FROM customers ORDER BY email")


def failures(pipeline: Pipeline, job: ImportJob) -> list[tuple[int, int, str, str, str]]:
    result = map(json.loads, pipeline.report(job, "errors.ndjson").splitlines())
    return [
        tuple(failure[name] for name in ("row", "line", "column", "code", "message")) for failure in result
    ]


def test_the_sheet_that_people_see_and_that_fits_is_imported(pipeline: Pipeline) -> None:
    books = {
        "hidden": [Tab("Old", OLD, "hidden"), Tab("Customers", NEW)],
        "very-hidden": [Tab("Old", OLD, "veryHidden"), Tab("Customers", [HEADER, ["b@x.co", "3", "Bonn"]])],
        "cover": [Tab("Read me", [["How to fill this in"]]), Tab("Data", [HEADER, ["c@x.co", "4", "Kiel"]])],
    }
    for name, tabs in books.items():
        pipeline.drop(f"customers/{name}.xlsx", workbook_of(*tabs))
    pipeline.work_off()
    assert customers(pipeline) == [
        ("b@x.co", "3", "Bonn"),
        ("c@x.co", "4", "Kiel"),
        ("new@x.co", "2", "Oslo"),
    ]
    jobs = [pipeline.job(f"customers/{name}.xlsx") for name in books]
    assert [(job.status, job.warnings) for job in jobs] == [
        (Status.COMPLETED, ["hidden sheets were not imported: 'Old'"]),
        (Status.COMPLETED, ["hidden sheets were not imported: 'Old'"]),
        (Status.COMPLETED, ["only the sheet 'Data' was imported: there is more in 'Read me'"]),
    ]


def test_two_sheets_that_fit_load_nothing_until_one_is_declared(pipeline: Pipeline) -> None:
    data = workbook_of(Tab("January", OLD), Tab("February", NEW))
    job = pipeline.load("customers/two.xlsx", data)
    assert (job.status, customers(pipeline)) == (Status.FAILED, [])
    assert (job.error or "").startswith(
        "2 sheets have the columns of customers: 'January', 'February'; save each"
    )
    declared = pipeline.load("customers/february.xlsx", data, sheet="february")
    assert customers(pipeline) == [("new@x.co", "2", "Oslo")]
    assert "only the sheet 'February' was imported: there is more in 'January'" in declared.warnings


def test_a_failed_formula_deletes_nothing_and_is_stored_nowhere(pipeline: Pipeline) -> None:
    pipeline.load("customers/before.csv", b"email,phone,city\nkept@x.co,030 123,Rome\n")
    rows: list[list[Value]] = [
        ["Our customers"],
        [],
        HEADER,
        ["kept@x.co", failed("#N/A"), "Oslo"],
        [None],
        ["ref@x.co", "1", failed("#REF!")],
        ["none@x.co", Raw("", "<f>A1</f>"), "Bonn"],
        ["text@x.co", "2", Raw('t="str"', "<f>A1</f><v>Rome</v>")],
        [failed("#VALUE!"), "3", "Kiel"],
        ["zero@x.co", Raw("", "<v>7</v>", "00000"), None],
        ["long@x.co", Raw("", "<v>12345678901234567890</v>"), None],
    ]
    job = pipeline.load("customers/upsert.xlsx", workbook(rows), mode="upsert")
    assert customers(pipeline) == [
        ("kept@x.co", "030 123", "Rome"),
        ("text@x.co", "2", "Rome"),
        ("zero@x.co", "00007", None),
    ]
    assert pipeline.counts(job) == Counts(total=7, inserted=2, rejected=5)
    shows = "an error of the spreadsheet's formula; correct it there"
    assert failures(pipeline, job) == [
        (1, 4, "phone", "bad_type", f"phone shows #N/A: {shows}"),
        (2, 6, "city", "bad_type", f"city shows #REF!: {shows}"),
        (
            3,
            7,
            "phone",
            "bad_type",
            "phone has a formula whose value the file does not hold: open it in a spreadsheet program, save it and import "
            "it again",
        ),
        (5, 9, "email", "bad_type", f"email shows #VALUE!: {shows}"),
        (
            7,
            11,
            "phone",
            "spreadsheet_damage",
            "phone '12345678901234567168' has more than 15 digits, and a spreadsheet keeps no more of a number: format the "
            "column as text and enter the value again",
        ),
    ]
    assert pipeline.report(job, "rejected.csv").decode().splitlines()[1].startswith("1,4,")


def written(columns: dict[str, pa.Array], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def test_numbers_of_parquet_are_written_as_people_write_them(pipeline: Pipeline) -> None:
    phones = {
        "float": pa.array([491701234567.0, None, 30123456.0, 1.2345678901234568e17, float("nan")]),
        "int": pa.array([491701234567, 1], pa.uint64()),
        "decimal": pa.array(["491701234567.00"]).cast(pa.decimal128(20, 2)),
        "float32": pa.array([16777215.0, 491701234567.0], pa.float32()),
    }
    for name, array in phones.items():
        emails = pa.array([f"{name}-{i}@x.co" for i in range(len(array))])
        pipeline.drop(f"customers/{name}.parquet", written({"email": emails, "phone": array}))
    pipeline.work_off()
    assert [(email.partition("@")[0], phone) for email, phone, _ in customers(pipeline) if email] == [
        ("decimal-0", "491701234567"),
        ("float-0", "491701234567"),
        ("float-1", None),
        ("float-2", "30123456"),
        ("float32-0", "16777215"),
        ("int-0", "491701234567"),
        ("int-1", "1"),
    ]
    job = pipeline.job("customers/float.parquet")
    assert [failure[:4] for failure in failures(pipeline, job)] == [
        (4, None, "phone", "bad_type"),
        (5, None, "phone", "bad_type"),
    ]


def test_times_of_spark_are_read_exactly_or_rejected(pipeline: Pipeline) -> None:
    times = [
        (86_399 * 10**9, 5_373_476),
        (0, 2_086_303),
        (25_689_123_456_000, 2_460_437),
        (0, 5_373_485),
        (1, 2_460_437),
    ]
    emails = pa.array([f"{name}@x.co" for name in "abcde"])
    zeros = pa.array([0] * len(times), pa.timestamp("ns"))
    data = written(
        {"email": emails, "created_at": zeros},
        use_deprecated_int96_timestamps=True,
        compression="none",
        use_dictionary=False,
    )
    epoch = struct.pack("<qI", 0, 2_440_588) * len(times)
    job = pipeline.load(
        "customers/spark.parquet", data.replace(epoch, b"".join(struct.pack("<qI", *t) for t in times))
    )
    result = pipeline.query(
        "SELECT email, (created_at AT TIME ZONE 'UTC')::text FROM customers ORDER BY email"
    )
    assert result == [
        ("a@x.co", "9999-12-23 23:59:59"),
        ("b@x.co", "1000-01-01 00:00:00"),
        ("c@x.co", "2024-05-06 07:08:09.123456"),
    ]
    assert failures(pipeline, job) == [
        (
            4,
            None,
            "created_at",
            "out_of_range",
            "created_at '10000-01-01T00:00:00.000000Z' is outside the years 0001 to 9999",
        ),
        (
            5,
            None,
            "created_at",
            "bad_type",
            "created_at '2024-05-06T00:00:00.000000001Z' is finer than a microsecond: use at most 6 digits",
        ),
    ]
