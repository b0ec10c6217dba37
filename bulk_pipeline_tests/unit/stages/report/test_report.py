"""The contents of the three reports, which do not depend on the cuts of batches."""

import csv
import io
import json
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline import tables
from bulk_pipeline.stages.failures import FAILURES
from bulk_pipeline.stages.parse.parsed import RAW, Dialect
from bulk_pipeline.stages.report import Reports, ReportSummary, write_reports
from bulk_pipeline.stages.report.rejected import rejected_suffix
from bulk_pipeline.stages.spreadsheets import restored

USERS = tables.get("users")
CSV = Dialect("csv", encoding="utf-8", delimiter=",", quote='"', header=("role", "email"), record_end="LF")
NDJSON = Dialect("ndjson", encoding="utf-8")

Failure = tuple[int, str | None, str, str]


class Written:
    """The reports on some raw rows, as text."""

    def __init__(
        self,
        raw: Sequence[bytes],
        *streams: Sequence[Failure],
        dialect: Dialect = CSV,
        batch_rows: int = 1000,
        lines: bool = True,
    ) -> None:
        sinks = io.BytesIO(), io.BytesIO(), io.BytesIO()
        self.reported: ReportSummary = write_reports(
            [in_batches(failure_batch(stream), batch_rows) for stream in streams],
            in_batches(raw_batch(raw, lines), batch_rows),
            USERS,
            dialect,
            Reports(*sinks),
            preview_rows=3,
        )
        self.bytes = tuple(sink.getvalue() for sink in sinks)
        self.errors_csv, self.errors_ndjson = (sink.decode() for sink in self.bytes[:2])
        self.rejected = self.bytes[2]


def raw_batch(raw: Sequence[bytes], lines: bool) -> pa.RecordBatch:
    numbers = range(1, len(raw) + 1)
    line = [number + 1 if lines else None for number in numbers]
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array(line, pa.int64()), pa.array(raw, pa.binary())], schema=RAW
    )


def failure_batch(failures: Sequence[Failure]) -> pa.RecordBatch:
    rows = [
        {"row": row, "line": row + 1, "column": column, "code": code, "value": "v", "message": message}
        for row, column, code, message in failures
    ]
    return pa.RecordBatch.from_pylist(rows, schema=FAILURES)


def in_batches(batch: pa.RecordBatch, rows: int) -> list[pa.RecordBatch]:
    return [batch.slice(start, rows) for start in range(0, batch.num_rows, rows)]


def test_nothing_is_written_when_nothing_failed() -> None:
    written = Written([b"admin,a@b.co"], [], [])

    assert written.bytes == (b"", b"", b"")
    assert (written.reported.rejected, written.reported.failures, written.reported.codes) == (0, 0, {})


def test_errors_csv_has_one_line_per_rejected_row_in_row_order() -> None:
    written = Written(
        [b"boss,a@b.co", b"admin,b@b.co", b'chief,"x"'],
        [(3, "email", "bad_format", "no address")],
        [(1, "role", "not_allowed", "no role"), (3, "role", "not_allowed", "no role")],
    )

    assert written.errors_csv == (
        "row,error,raw\n"
        '1,"no role","boss,a@b.co"\n'
        '3,"no role; no address","chief,""x"""\n'
    )  # fmt: skip
    assert written.reported.rejected == 2


def test_sentences_follow_the_file_s_columns_then_codes_and_the_whole_row_comes_last() -> None:
    written = Written(
        [b"x"],
        [(1, None, "rule:r", "row"), (1, "email", "too_long", "email long"), (1, "id", "required", "id")],
        [(1, "email", "bad_format", "email form"), (1, "role", "not_allowed", "role")],
    )

    assert next(csv.DictReader(io.StringIO(written.errors_csv)))["error"] == (
        "role; email form; email long; id; row"
    )


def test_errors_ndjson_has_one_object_per_failure() -> None:
    written = Written(
        [b"x", b"y"], [(2, None, "constraint", 'say "no"\n\t\\ \u00e4'), (2, "id", "required", "id")]
    )

    assert [json.loads(line) for line in written.errors_ndjson.splitlines()] == [
        {"row": 2, "line": 3, "column": "id", "code": "required", "value": "v", "message": "id"},
        {
            "row": 2,
            "line": 3,
            "column": None,
            "code": "constraint",
            "value": "v",
            "message": 'say "no"\n\t\\ \u00e4',
        },
    ]
    assert written.errors_ndjson.startswith('{"row":2,"line":3,"column":"id","code":"required","value":"v",')


def test_counts_and_a_preview_come_back() -> None:
    failures = [(row, "role", "not_allowed", "m") for row in range(1, 6)]

    reported = Written([b"x"] * 9, failures, [(2, "id", "required", "m")]).reported

    assert (reported.rejected, reported.failures) == (5, 6)
    assert reported.codes == {"not_allowed": 5, "required": 1}
    assert reported.first.select(["row", "column"]).to_pylist() == [
        {"row": 1, "column": "role"},
        {"row": 2, "column": "role"},
        {"row": 2, "column": "id"},
    ]


def test_bytes_that_are_not_text_show_as_such_in_errors_csv_and_stay_in_the_rejected_file() -> None:
    written = Written([b"caf\xe9,\0"], [(1, "role", "bad_encoding", "m")])

    assert written.errors_csv.splitlines()[1] == '1,"m","caf\ufffd,\ufffd"'
    assert written.rejected.splitlines()[1] == b'1,2,"m",caf\xe9,\0'


def test_a_sentence_stays_on_one_line_and_a_raw_row_may_have_many() -> None:
    written = Written([b'"a\nb",c'], [(1, None, "constraint", "one\r\ntwo")])

    assert written.errors_csv == 'row,error,raw\n1,"one two","""a\nb"",c"\n'


FORMULAS = [b"=1+1,x", b"+1", b"-1", b"@SUM(1)", b"\t=1", b"\r=1", "＝1".encode(), b"'=1", b"''"]


def test_no_cell_of_errors_csv_begins_like_a_formula_and_nothing_is_lost() -> None:
    messages = [raw.decode().lstrip("\r") for raw in FORMULAS]
    written = Written(
        FORMULAS, [(row, None, "constraint", message) for row, message in enumerate(messages, start=1)]
    )

    result = list(csv.DictReader(io.StringIO(written.errors_csv, newline="")))
    assert {row["raw"][0] for row in result} == {row["error"][0] for row in result} == {"'"}
    assert [row["raw"][1:].encode() for row in result] == FORMULAS
    assert [row["error"][1:] for row in result] == messages


@pytest.mark.parametrize(
    ("dialect", "raw", "expected"),
    [
        (CSV, b'boss,"a ""b"""', b'_row,_line,_errors,role,email\n1,2,"say ""no""",boss,"a ""b"""\n'),
        (
            Dialect("csv", None, "utf-8", ";", "'", "\\", ("ro;le", "e'mail"), 1, 0, "CRLF"),
            b"'a\\'b';c",
            b"_row;_line;_errors;'ro;le';'e\\'mail'\r\n1;2;'say \"no\"';'a\\'b';c\r\n",
        ),
        (
            Dialect("csv", None, "utf-8", "\t", None, None, ("role", "email"), 1, 0, "CR"),
            b"boss\tx",
            b'_row\t_line\t_errors\trole\temail\r1\t2\tsay "no"\tboss\tx\r',
        ),
        (NDJSON, b' { "role": "boss"}', b'{"_row":1,"_line":2,"_errors":"say \\"no\\"","role": "boss"}\n'),
        (NDJSON, b"{}", b'{"_row":1,"_line":2,"_errors":"say \\"no\\""}\n'),
        (Dialect("json"), b'{"a":1}', b'{"_row":1,"_line":2,"_errors":"say \\"no\\"","a":1}\n'),
        (Dialect("parquet"), b'{"a":1}', b'{"_row":1,"_line":2,"_errors":"say \\"no\\"","a":1}\n'),
        (
            Dialect("xlsx", header=("role", "e,mail", "n")),
            b'{"role":"","e,mail":null,"n":1.5}',
            b'\xef\xbb\xbf_row,_line,_errors,role,"e,mail",n\n1,2,"say ""no""","",,1.5\n',
        ),
        (
            Dialect("xlsx", header=("_row", "role")),
            b'{"_row":"9","role":"a","column_3":null,"column_4":"x"}',
            b'\xef\xbb\xbf_row,_line,_errors,role\n1,2,"say ""no""",a,,x\n',
        ),
    ],
)
def test_the_rejected_file_keeps_the_upload_s_dialect(dialect: Dialect, raw: bytes, expected: bytes) -> None:
    assert Written([raw], [(1, None, "constraint", 'say "no"')], dialect=dialect).rejected == expected


@pytest.mark.parametrize(
    ("dialect", "suffix"),
    [
        (CSV, ".csv"),
        (Dialect("csv", delimiter="\t"), ".tsv"),
        (Dialect("csv", delimiter=";"), ".csv"),
        (NDJSON, ".ndjson"),
        (Dialect("json"), ".ndjson"),
        (Dialect("parquet"), ".ndjson"),
        (Dialect("xlsx"), ".csv"),
    ],
)
def test_the_rejected_file_s_name_says_its_format(dialect: Dialect, suffix: str) -> None:
    assert rejected_suffix(dialect) == suffix


@pytest.mark.parametrize("raw", [b"a", b"a,b,c,d", b'"a,b', b""])
def test_a_malformed_csv_row_stays_as_it_is_behind_our_cells(raw: bytes) -> None:
    written = Written([raw, b"x,y"], [(1, None, "malformed_row", "m"), (2, "role", "not_allowed", "m")])

    assert written.rejected.splitlines()[1:] == [b'1,2,"m",' + raw, b'2,3,"m",x,y']


@pytest.mark.parametrize("code", ["malformed_row", "too_long"])
@pytest.mark.parametrize("raw", [b'{"a": 1', b"[1, 2]", b'"text"', b"caf\xe9", b'{"a": "caf\xe9'])
def test_a_record_that_is_no_object_becomes_text_in_one(raw: bytes, code: str) -> None:
    written = Written([raw], [(1, None, code, "m")], dialect=NDJSON)

    record = json.loads(written.rejected)
    assert record == {"_row": 1, "_line": 2, "_errors": "m", "_raw": raw.decode("utf-8", "replace")}


def test_an_object_with_a_repeated_key_stays_as_it_is() -> None:
    written = Written([b'{"a":1,"a":2}'], [(1, None, "malformed_row", "m")], dialect=NDJSON)

    assert written.rejected == b'{"_row":1,"_line":2,"_errors":"m","a":1,"a":2}\n'


def test_formats_without_lines_say_so() -> None:
    assert Written([b"{}"], [(1, "id", "required", "m")], dialect=NDJSON, lines=False).rejected == (
        b'{"_row":1,"_line":null,"_errors":"m"}\n'
    )
    assert Written([b"x"], [(1, "id", "required", "m")], lines=False).rejected.splitlines()[1] == b'1,,"m",x'


@pytest.mark.parametrize(("encoding", "starts"), [("utf-8", b"_row,"), ("cp1252", b"\xef\xbb\xbf_row,")])
def test_a_mark_says_utf_8_where_the_upload_was_not(encoding: str, starts: bytes) -> None:
    dialect = Dialect("csv", encoding=encoding, delimiter=",", quote='"', header=("role",))

    assert Written(["ä".encode()], [(1, None, "constraint", "m")], dialect=dialect).rejected.startswith(
        starts
    )


@pytest.mark.parametrize(
    "raw",
    [b'7,8,"old; ""err""",boss,x', b"7,8,old,boss,x", b"7,,,boss,x"],
)
def test_a_rejected_csv_row_that_is_rejected_again_gets_new_cells(raw: bytes) -> None:
    dialect = Dialect("csv", None, "utf-8", ",", '"', None, ("_row", "_line", "_errors", "role", "email"))

    assert Written([raw], [(1, None, "constraint", "new")], dialect=dialect).rejected == (
        b'_row,_line,_errors,role,email\n1,2,"new",boss,x\n'
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'{"_row":7,"_line":8,"_errors":"old \\"err\\"","role":"boss"}',
        b'{"role":"boss","_errors":"old","_row":7}',
        b'{ "_row" : 7, "_line" : null, "_errors" : "" , "role":"boss"}',
    ],
)
def test_a_rejected_object_that_is_rejected_again_gets_new_keys(raw: bytes) -> None:
    written = Written([raw], [(1, None, "constraint", "new")], dialect=NDJSON)

    assert written.rejected == b'{"_row":1,"_line":2,"_errors":"new","role":"boss"}\n'


@pytest.mark.parametrize("row", [0, 3, 99])
def test_a_failure_of_a_row_that_is_not_there_is_an_error(row: int) -> None:
    with pytest.raises(ValueError, match="file does not have"):
        Written([b"x", b"y"], [(row, None, "constraint", "m")])


FAILURES_OF_ROWS = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([None, "id", "email", "role"]), st.sampled_from("abc")),
    max_size=40,
    unique=True,
)


@given(st.lists(FAILURES_OF_ROWS, min_size=1, max_size=3), st.integers(1, 40))
def test_how_rows_and_failures_are_cut_changes_no_byte(
    found: list[list[tuple[int, str | None, str]]], batch_rows: int
) -> None:
    raw = [f"x{row},\xe9".encode() for row in range(30)]
    streams = [
        [
            (row, column, code, f"{code} of {column}")
            for row, column, code in sorted(part, key=lambda one: one[0])
        ]
        for part in found
    ]

    whole = Written(raw, *streams)
    pieces = Written(raw, *streams, batch_rows=batch_rows)

    assert pieces.bytes == whole.bytes
    assert pieces.reported.codes == whole.reported.codes
    rejected = sorted({row for stream in streams for row, *_ in stream})
    assert [int(line["row"]) for line in csv.DictReader(io.StringIO(whole.errors_csv))] == rejected
    objects = [json.loads(line) for line in whole.errors_ndjson.splitlines()]
    assert len(objects) == sum(len(stream) for stream in streams) == whole.reported.failures


@given(st.lists(st.text(), min_size=1, max_size=10))
def test_any_text_survives_the_quoting(messages: list[str]) -> None:
    messages = [message.encode("utf-8", "replace").decode() for message in messages]
    written = Written(
        [message.encode() for message in messages],
        [(row, None, "constraint", message) for row, message in enumerate(messages, start=1)],
    )

    lines = [json.loads(line) for line in written.errors_ndjson.split("\n")[:-1]]
    assert [line["message"] for line in lines] == messages
    shown = pa.array([row["raw"] for row in csv.DictReader(io.StringIO(written.errors_csv, newline=""))])
    raws = restored(shown.cast(pa.string())).to_pylist()
    assert raws == [message.replace("\0", "\ufffd") for message in messages]
