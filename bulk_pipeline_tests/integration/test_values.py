"""The meaning of cells in delimited text and of values in JSON, from the file to the table."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from bulk_pipeline_tests.rigs.examples import Cells, csv, have_parents, row, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
NOON = NEW_YEAR + timedelta(hours=12)
BAD, TOO_FAR = "<bad_type>", "<out_of_range>"

CSV = {
    "customers first_name": [
        ("Ann", "Ann"),
        (" \tAnn B ", "Ann B"),
        ('" Ann "', " Ann "),
        (' "Ann" ', "Ann"),
        ("", None),
        ("  ", None),
        ('""', ""),
        (' "" ', ""),
        ('"a ""b"", c"', 'a "b", c'),
        ('"a\r\nb"', "a\r\nb"),
        ("NULL", "NULL"),
        ("\\N", "\\N"),
        ("007", "007"),
        ("1e5", "1e5"),
    ],
    "users active": [
        *((cell, True) for cell in ("true", "TRUE", "True", "1", "yes", "Yes", '"true"', " true ")),
        *((cell, False) for cell in ("false", "False", "0", "no", "NO")),
        ("", True),
        ('""', True),
        *((cell, BAD) for cell in ("t", "f", "y", "n", "on", "2", "1.0", "-", '" true"', "null")),
    ],
    "articles published_at": [
        ("", None),
        ('""', None),
        ("2026-01-01", NEW_YEAR),
        ("2026-01-01T12:00:00", NOON),
        ("2026-01-01 12:00", NOON),
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T14:00:00+02:00", NOON),
        ("2026-01-01T06:30:00.000000-0530", NOON),
        ("2026-01-01T12:00:00.000001Z", NOON + timedelta(microseconds=1)),
        ("2026-01-01T12:00:00.0000001Z", BAD),
        ("01.01.2026", BAD),
        ("1/1/2026", BAD),
        ("2026-02-29", BAD),
        ("2026-01-01T24:30", BAD),
        ("1767268800", BAD),
        ("now", BAD),
        ("12026-01-01", TOO_FAR),
    ],
    "articles tags": [
        ("", None),
        ('""', None),
        ("[]", []),
        ('"[""a"", ""b,c"", """"]"', ["a", "b,c", ""]),
        ('"[""\\u00fc\\n""]"', ["ü\n"]),
        ("a", BAD),
        ("{a}", BAD),
        ("[1]", BAD),
        ("[null]", BAD),
        ('"[[""a""]]"', BAD),
        ('"[""a"""', BAD),
    ],
    "articles author_id": [
        (uid(1).upper(), UUID(uid(1))),
        (f" {uid(1)} ", UUID(uid(1))),
        (uid(1).replace("-", ""), BAD),
        ("{" + uid(1) + "}", BAD),
        (f"cm_{uid(1)}", BAD),
    ],
}
JSON = {
    "customers first_name": [
        ('"Ann"', "Ann"),
        ('" Ann "', " Ann "),
        ("null", None),
        ('""', ""),
        ('"null"', "null"),
        ("42", "42"),
        ("4.20", "4.20"),
        ("1E+2", "1E+2"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("[]", BAD),
        ('{"a": 1}', BAD),
    ],
    "users active": [
        *((cell, True) for cell in ("true", '"true"', '"Yes"', "1", '"1"')),
        *((cell, False) for cell in ("false", '"no"', "0")),
        ("null", True),
        ('""', True),
        *((cell, BAD) for cell in ("2", "1.0", '"on"', '" true"', "[true]", "{}")),
    ],
    "articles published_at": [
        ("null", None),
        ('"2026-01-01T12:00:00"', NOON),
        ('"2026-01-01T14:00:00+02:00"', NOON),
        ("1767268800", BAD),
    ],
    "articles tags": [
        ("null", None),
        ("[]", []),
        ('["a", "b,c", ""]', ["a", "b,c", ""]),
        ('"[\\"a\\"]"', ["a"]),
        ('"a"', BAD),
        ("[1]", BAD),
        ('["a", null]', BAD),
        ('[["a"]]', BAD),
        ("{}", BAD),
    ],
}

Examples = list[tuple[str, object]]


@pytest.mark.parametrize("column", CSV)
def test_the_meaning_of_a_csv_cell(pipeline: Pipeline, column: str) -> None:
    assert in_table(pipeline, column, CSV[column], csv) == CSV[column]


@pytest.mark.parametrize("column", JSON)
def test_the_meaning_of_a_json_value(pipeline: Pipeline, column: str) -> None:
    assert in_table(pipeline, column, JSON[column], json_lines) == JSON[column]


def in_table(
    pipeline: Pipeline, where: str, examples: Examples, file: Callable[[list[Cells]], bytes]
) -> Examples:
    """Return the examples with their values in the table, or the failure's code in angle brackets."""
    table, column = where.split()
    have_parents(pipeline)
    rows = [row(table, number, {column: cell}) for number, (cell, _) in enumerate(examples, 2)]
    job = pipeline.load(f"{table}/values", file(rows))
    failures = map(orjson.loads, pipeline.report(job, "errors.ndjson").splitlines() if job.reports else ())
    result = dict(pipeline.query(f"SELECT id::text, {column} FROM {table}"))
    result |= {uid(failure["row"] + 1): f"<{failure['code']}>" for failure in failures}
    return [(cell, result[uid(number)]) for number, (cell, _) in enumerate(examples, 2)]


def json_lines(rows: list[Cells]) -> bytes:
    """Return objects of cells that are JSON; a cell that is not JSON becomes a string."""
    return b"".join(
        b"{%b}\n" % b",".join(_member(name, cell) for name, cell in cells.items()) for cells in rows
    )


def _member(name: str, cell: str) -> bytes:
    try:
        orjson.loads(cell)
    except orjson.JSONDecodeError:
        cell = json.dumps(cell)
    return f'"{name}":{cell}'.encode()
