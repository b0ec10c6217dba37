"""A file of rejected rows after a spreadsheet program has saved it: rows are accepted as they are, or rejected."""

import csv
import io
from collections.abc import Callable

import pytest

from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline_tests.rigs.pipeline import Pipeline

FILE = (
    "email,first_name,phone,created_at\n"
    'nobody,"Jürgen, Dr.",0049171,2026-01-31\n'
    "noone,Ann,12345678901234567890,2026-02-28\n"
).encode()
Table = list[list[str]]


def rejected(pipeline: Pipeline) -> tuple[ImportJob, Table]:
    job = pipeline.load("customers/march.csv", FILE)
    text = pipeline.report(job, "rejected.csv").decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text))
    at = header.index("email")
    return job, [header, *([*row[:at], f"{row[at]}@x.co", *row[at + 1 :]] for row in rows)]


def saved(table: Table, delimiter: str = ";", end: str = "\r\n", encoding: str = "utf-8-sig") -> bytes:
    """Return the bytes that a program saves: quotes only where a cell needs them."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(table)
    return out.getvalue().encode(encoding)


def changed(table: Table, column: str, change: Callable[[str], str]) -> Table:
    at = table[0].index(column)
    return [table[0], *([*row[:at], change(row[at]), *row[at + 1 :]] for row in table[1:])]


def fixed(pipeline: Pipeline, content: bytes) -> ImportJob:
    return pipeline.load("customers/fixed.csv", content)


def in_table(pipeline: Pipeline) -> list[tuple[str, ...]]:
    return pipeline.query(
        "SELECT email, first_name, phone, (created_at AT TIME ZONE 'UTC')::date::text FROM customers ORDER BY email"
    )


WHOLE = [
    ("nobody@x.co", "Jürgen, Dr.", "0049171", "2026-01-31"),
    ("noone@x.co", "Ann", "12345678901234567890", "2026-02-28"),
]


@pytest.mark.parametrize(
    "save",
    [
        pytest.param(saved, id="semicolons, CRLF and a byte order mark"),
        pytest.param(lambda table: saved(table, "\t", encoding="utf-16"), id="Unicode text"),
        pytest.param(lambda table: saved(table, ",", "\n", "utf-8"), id="LibreOffice"),
        pytest.param(
            lambda table: saved([*table, [""] * len(table[0]), [""] * len(table[0])]),
            id="empty rows at the end",
        ),
        pytest.param(lambda table: saved([[*row, "", ""] for row in table]), id="empty columns at the end"),
        pytest.param(
            lambda table: saved([row[3:4] + row[:3] + row[4:] for row in table]),
            id="columns in another order",
        ),
        pytest.param(lambda table: saved([table[0], *reversed(table[1:])]), id="rows in another order"),
    ],
)
def test_what_changes_no_value_fixes_the_rows(pipeline: Pipeline, save: Callable[[Table], bytes]) -> None:
    parent, table = rejected(pipeline)

    job = fixed(pipeline, save(table))

    assert (job.status, job.error, job.failure_counts) == (Status.COMPLETED, None, {})
    assert in_table(pipeline) == WHOLE
    counts = pipeline.counts(parent)
    assert (job.parents, counts.fixed, counts.open) == ({parent.id: 2}, 2, 0)


@pytest.mark.parametrize(
    ("column", "change", "code"),
    [
        pytest.param("phone", lambda _: "1.23457E+19", "spreadsheet_damage", id="a long number"),
        pytest.param("first_name", lambda _: "1,23E+19", "spreadsheet_damage", id="a German long number"),
        pytest.param(
            "created_at", lambda date: ".".join(reversed(date.split("-"))), "bad_type", id="a German date"
        ),
        pytest.param(
            "created_at", lambda date: f"{date[5:7]}/{date[8:]}/{date[:4]}", "bad_type", id="an American date"
        ),
        pytest.param("created_at", lambda _: "46053", "bad_type", id="a date as a number"),
        pytest.param("created_at", lambda _: "########", "bad_type", id="a column that was too narrow"),
    ],
)
def test_values_that_were_changed_are_rejected_and_stay_open(
    pipeline: Pipeline, column: str, change: Callable[[str], str], code: str
) -> None:
    parent, table = rejected(pipeline)

    job = fixed(pipeline, saved(changed(table, column, change)))

    assert (job.failure_counts, in_table(pipeline)) == ({code: 2}, [])
    counts = pipeline.counts(parent)
    assert (counts.fixed, counts.open, pipeline.counts(job).open) == (0, 2, 0)


def test_a_text_like_a_shortened_number_is_accepted_in_a_file_that_nobody_corrected(
    pipeline: Pipeline,
) -> None:
    pipeline.load("customers/march.csv", b"email,phone\nann@x.co,1.23457E+19\n")

    assert pipeline.query("SELECT phone FROM customers") == [("1.23457E+19",)]


def test_a_lost_zero_cannot_be_seen_in_a_column_of_texts(pipeline: Pipeline) -> None:
    _, table = rejected(pipeline)

    fixed(pipeline, saved(changed(table, "phone", lambda phone: phone.lstrip("0"))))

    assert [phone for _, _, phone, _ in in_table(pipeline)] == ["49171", "12345678901234567890"]


def test_cells_of_the_code_page_are_rejected(pipeline: Pipeline) -> None:
    _, table = rejected(pipeline)

    job = fixed(pipeline, saved(table, encoding="cp1252"))

    assert (job.failure_counts, [row[0] for row in in_table(pipeline)]) == (
        {"bad_encoding": 1},
        ["noone@x.co"],
    )
