"""Properties of every file: fast and tolerant reading agree, pieces do not matter, and nothing crashes."""

import contextlib
import csv
import gzip
import io
import re
import zipfile
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import DEFAULT_LIMITS
from bulk_pipeline.schema import invisible
from bulk_pipeline.stages.parse.csv import scanner
from bulk_pipeline.stages.parse.csv.blocks import read_blocks
from bulk_pipeline.stages.parse.csv.syntax import Plan, Syntax
from bulk_pipeline_tests.unit.stages.parse.reading import cleaned, read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = ("a", "b", "c")
CELLS = [
    b"x",
    b"",
    b" ",
    b'"x"',
    b'""',
    b'"a,b"',
    b'"a""b"',
    b'"a\nb"',
    b'" x "',
    b' "x" ',
    b"long cell of words",
    "é".encode(),
]
BLANK = [
    "\u00a0x\u00a0".encode(),
    "\u00a0".encode(),
    " \u200b\t".encode(),
    '\ufeff"x"'.encode(),
    '"\u00a0x"\u3000'.encode(),
    "x\u3000y\u2028".encode(),
    "\x0bx\x0c\u202e".encode(),
    b"\xc2",
    b"\xe2\x80",
    b"\xa0x\xe3\x80",
    b"\xff\xc2\xa0",
    b"\xe2\x80\x8b\x8bx",
]
"""Blanks of several bytes, whole and in parts."""
ODD = [
    b"\x1a",
    b"\\.",
    b"---",
    b"(1 row)",
    b'""""',
    b'"',
    b'x"',
    b'"x',
    b'"x"y',
    b"\xff",
    b"\0",
    b"a'b",
    b'"a\n',
    b"\\",
    b'["a"]',
    b"\xef\xbb\xbf",
    b"\t",
]
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\n \n"])


def plan(syntax: Syntax) -> Plan:
    return Plan(syntax, 3, NAMES, (0, 1, 2), NAMES, b"a,b,c", DEFAULT_LIMITS)


def parsed(text: bytes, syntax: Syntax, **options: Any) -> list[list[Any]]:
    answers: list[list[Any]] = [[], [], []]
    for chunk in read_blocks([text], plan(syntax), 2, **options):
        for answer, batch in zip(answers, (chunk.records, chunk.raw, chunk.failures), strict=True):
            answer += batch.to_pylist()
    return answers


@st.composite
def texts(draw: st.DrawFn, cells: list[bytes]) -> bytes:
    """Return records with one delimiter, mostly of three cells."""
    records = draw(st.lists(st.lists(st.sampled_from(cells), min_size=1, max_size=4), max_size=25))
    full = [record if draw(st.integers(0, 5)) == 0 else (record * 3)[:3] for record in records]
    end = draw(ENDS)
    ends = [end if draw(st.integers(0, 5)) else draw(ENDS) for _ in full]
    return b"".join(b",".join(record) + ending for record, ending in zip(full, ends, strict=True))


SYNTAXES = [Syntax(), Syntax(quote=b"'"), Syntax(escape=b"\\"), Syntax(quote=b"")]


@quick
@given(texts(CELLS * 2 + BLANK + ODD), st.sampled_from(SYNTAXES), st.sampled_from([16, 64, 1 << 20]))
def test_fast_and_tolerant_reading_agree_on_any_text(text: bytes, syntax: Syntax, block: int) -> None:
    expected = parsed(text, syntax, fast=False)
    assert parsed(text, syntax) == expected
    assert parsed(text, syntax, block=block) == expected


@quick
@given(texts(CELLS + BLANK[:7]), st.sampled_from([8, 64, 1 << 20]))
def test_fast_and_tolerant_reading_agree_on_clean_text(text: bytes, block: int) -> None:
    assert parsed(text, Syntax(), block=block) == parsed(text, Syntax(), fast=False)


@quick
@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_fast_and_tolerant_reading_agree_on_any_bytes(text: bytes, syntax: Syntax) -> None:
    assert parsed(text, syntax) == parsed(text, syntax, fast=False)


@quick
@given(texts(CELLS * 2 + ODD))
def test_every_byte_of_every_line_is_in_raw_and_every_row_is_accounted_for(text: bytes) -> None:
    records, raw, failures = parsed(text, Syntax())
    rows = {row["_row"] for row in records} | {f["row"] for f in failures if f["column"] is None}
    assert rows == {row["_row"] for row in raw}
    assert not {row["_row"] for row in records} & {f["row"] for f in failures if f["column"] is None}
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    seen = b"\n".join(row["raw"].replace(b"\r\n", b"\n").replace(b"\r", b"\n") for row in raw).split(b"\n")
    assert list(filter(has_cells, lines)) == list(filter(has_cells, seen))
    for row in raw:
        first = row["raw"].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[0]
        assert lines[row["_line"] - 2] == first


def has_cells(line: bytes) -> bool:
    """Return True if a line has more than delimiters, blanks and empty texts, and is no end marker."""
    text = line.decode("utf-8", "surrogateescape").translate(dict.fromkeys(map(ord, invisible.BLANKS), " "))
    line = text.encode("utf-8", "surrogateescape")
    if line.strip(b" \t\x1a") in (b"", b"\\.", b"---", b"(1 row)"):
        return False
    return re.sub(rb'(?:^|(?<=,))[ \t]*""[ \t]*(?=,|$)', b"", line).strip(b", \t") != b""


values = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t\"';,"), max_size=12)


@quick
@given(
    st.lists(st.tuples(values, values, values), max_size=15),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_the_output_of_the_csv_module_is_read_back(
    rows: list[tuple[str, str, str]], delimiter: str, quoting: int, end: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)  # pyright: ignore[reportArgumentType]
    writer.writerows([("email", "first_name", "city"), *rows])
    result = read(text.getvalue().encode())
    blank = "" if quoting == csv.QUOTE_ALL else None
    found = [tuple(cell or blank for cell in row) for row in result.cells]
    trimmed = [tuple(_as_read(cell, quoting, delimiter) or blank for cell in row) for row in rows]
    trimmed = [row for row in trimmed if any(row)]  # others are blank lines
    assert (found, result.failures) == (trimmed, [])
    assert result.dialect.delimiter == delimiter


def _as_read(cell: str, quoting: int, delimiter: str) -> str:
    """Return cells as the parser reads them: the csv module leaves blanks unquoted, and we trim them."""
    quoted = quoting == csv.QUOTE_ALL or any(c in cell for c in f'{delimiter}"\r\n')
    return cell if quoted else cell.strip(invisible.BLANKS)


json_like = st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"',
            b'"email"',
            b'"a"',
            b"1.5",
            b"null",
            b" ",
            b"\n",
            b"\\",
            b"\xff",
            b'{"email":"a"}',
        ]
    ),
    max_size=40,
).map(b"".join)


@quick
@given(
    st.one_of(json_like.map(lambda text: b"[" + text), json_like.map(lambda text: b'{"email":"x"}\n' + text))
)
def test_json_of_any_shape_is_rows_and_failures_or_a_file_error(text: bytes) -> None:
    for table in ("customers", None):
        assert_reads_or_refuses(text, "upload.json", table)


@quick
@given(
    st.one_of(st.binary(max_size=400), texts(CELLS + ODD).map(lambda text: b"email,city,x\n" + text)),
    st.sampled_from(["upload.csv", "upload.json", "upload.csv.gz", "upload"]),
    st.sampled_from(["customers", None]),
    st.sampled_from([None, "utf-16", "cp1252", "shift_jis", "utf-7"]),
)
def test_any_bytes_are_rows_and_failures_or_a_file_error(
    data: bytes, name: str, table: str | None, encoding: str | None
) -> None:
    assert_reads_or_refuses(data, name, table, encoding)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000), st.binary(min_size=1, max_size=8), st.sampled_from(["xlsx", "parquet", "gz", "zip"])
)
def test_a_damaged_container_is_rows_and_failures_or_a_file_error(at: int, damage: bytes, kind: str) -> None:
    data = CONTAINERS[kind]
    at %= len(data)
    assert_reads_or_refuses(data[:at] + damage + data[at + len(damage) :], f"upload.{kind}", "customers")


def assert_reads_or_refuses(data: bytes, name: str, table: str | None, encoding: str | None = None) -> None:
    with contextlib.suppress(FileError):
        result = read(data, name, table, encoding=encoding)
        failed = [failure[0] for failure in result.failures]
        assert set(result.rows) | set(failed) == set(result.raw)
        assert failed == sorted(failed)
        if table is None and encoding is None:
            cleaned(data, name)


def _containers() -> dict[str, bytes]:
    text = b"email,city\n" + b"a@b.co,Rome\n" * 50
    table, zipped = io.BytesIO(), io.BytesIO()
    parquet.write_table(pa.table({"email": ["a@b.co"] * 50, "city": ["Rome"] * 50}), table)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.csv", text)
    return {
        "xlsx": workbook([["email", "city"], *[["a@b.co", 1]] * 20]),
        "parquet": table.getvalue(),
        "gz": gzip.compress(text),
        "zip": zipped.getvalue(),
    }


CONTAINERS = _containers()


@pytest.mark.parametrize("piece", [1, 2, 3, 50])
def test_pieces_do_not_matter(piece: int) -> None:
    text = b'email,city\r\na@b.co,"x\r\ny"\r\nb,\xc3\xa9\r\n"c"d,1\r\n\r\ne,"f"'
    whole, cut = read(text), read(text, piece=piece)
    assert (whole.rows, whole.lines, whole.raw, whole.failures) == (
        cut.rows,
        cut.lines,
        cut.raw,
        cut.failures,
    )


@quick
@given(texts([*CELLS, *ODD, b'"x""', b'""x"', b"'x''y", b"x'"]), st.sampled_from(SYNTAXES))
def test_remembered_searches_do_not_change_the_result(text: bytes, syntax: Syntax) -> None:
    with patch.object(scanner, "MEMORY_STEP", 1):
        remembered = parsed(text, syntax, fast=False)
    with patch.object(scanner, "MEMORY_STEP", 1 << 30):
        assert parsed(text, syntax, fast=False) == remembered
