"""Cells of every type: what is exported imports to the same bytes, and a wrong cell is a failure of its row only."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bulk_pipeline.arrow.uuids import IdMaker
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.known_rows import PostgresKnownRows
from bulk_pipeline.pipeline.work_files import WorkLocation
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rows.references import PostgresReferences
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.rows.server_types import PostgresServerTypes
from bulk_pipeline.rows.snapshots import snapshot
from bulk_pipeline.schema import Column, ColumnType, Mode, Table, column_type, select
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.export.layout import Layout
from bulk_pipeline.stages.export.parts import write_file
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline_tests.rigs.every_type import EveryType, create, declared
from bulk_pipeline_tests.rigs.examples import uid
from bulk_pipeline_tests.rigs.loading import Loading

FORMATS = [*Format]

Cells = Mapping[str, str | None]


def _cell(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


class World:
    """A database with the table, and imports into it."""

    def __init__(self, database_url: str, table: Table, folder: Path) -> None:
        self.database_url, self.table, self.folder = database_url, table, folder
        self.postgres = Postgres(database_url)

    def become(self, rows: Sequence[Cells]) -> None:
        """The table has these rows and no others."""
        given = [name for name in self.table.column_names if rows and name in rows[0]]
        lines = [
            ",".join(map(_cell, [uid(number), *(row[name] for name in given)]))
            for number, row in enumerate(rows, 1)
        ]
        names = ", ".join(["id", *given])
        with psycopg.connect(self.database_url) as connection:
            connection.execute("TRUNCATE every_type")
            with connection.cursor().copy(
                f"COPY every_type ({names}) FROM STDIN (FORMAT csv)".encode()
            ) as copy:
                copy.write("".join(f"{line}\n" for line in lines))

    def content(self) -> bytes:
        with psycopg.connect(self.database_url) as connection:
            copied = connection.cursor().copy("COPY (SELECT * FROM every_type ORDER BY id) TO STDOUT")
            with copied as copy:
                return b"".join(bytes(piece) for piece in copy)

    def exported(self, layout: Layout) -> bytes:
        out = io.BytesIO()
        with snapshot(self.database_url, "bulk-pipeline export test") as taken:
            write_file(taken.rows(select(self.table)), layout, out)
        return out.getvalue()

    def load(self, name: str, content: bytes, mode: Mode = Mode.INSERT_ONLY) -> list[dict[str, Any]]:
        """All steps of an import; gives the failures of cells."""
        job = Loading(self.database_url, self.table.name, mode).start()
        upload = open_upload(io.BytesIO(content), name, table=self.table, mode=mode)
        work = WorkLocation(self.folder)
        state = import_steps.parse_upload(upload, job.job_id, 1, self.table, mode, work)
        types = PostgresServerTypes(self.postgres, self.table)
        state = replace(import_steps.validate_rows(state, work, server=types), batch_rows=1000)
        store = PostgresRowStore(self.postgres, self.table, job.job_id, 1)
        known = PostgresKnownRows(store)
        state = import_steps.split_rows(state, PostgresReferences(self.postgres, self.table), known, work)
        import_steps.load_rows(state, work, store, known, IdMaker(), lambda _: None)
        found = [*state.batches(work, "parse_failures"), *state.batches(work, "validate_failures")]
        return [failure for batch in found for failure in batch.to_pylist()]


@pytest.fixture
def every_type() -> EveryType:
    return EveryType()


@pytest.fixture
def world(
    every_type: EveryType, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    create(every_type.table, database_url)
    found = World(database_url, every_type.table, tmp_path)
    with declared(every_type.table, monkeypatch):
        yield found
    found.postgres.close()


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_exported_imports_to_the_same_bytes(
    world: World, every_type: EveryType, format_: Format
) -> None:
    layout = Layout(world.table.columns, format_)

    @settings(
        max_examples=3,
        phases=[Phase.generate],  # to find a smaller example takes minutes
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )
    @given(every_type.rows())
    def holds(rows: list[Cells]) -> None:
        world.become(rows)
        before = world.content()
        file = world.exported(layout)
        world.become([])
        for mode in (Mode.INSERT_ONLY, Mode.UPSERT):
            assert world.load(f"x{layout.extension}", file, mode) == []
            assert world.content() == before

    holds()


TYPE, RANGE, LONG = "bad_type", "out_of_range", "too_long"
_NOT_NUMBERS = ["abc", "1_000", "1,5", "0x1F", " 1", "1 2", "--1", "true"]
_NOT_DATES = ["2023-02-29", "2026-13-01", "2026-1-1", "01/02/2026", "31.01.2026", "today", "now", "20260131"]
_NOT_CLOCKS = ["24:00:01", "12:60", "1:30", "12:30pm", "now", "12.30", "12", "noon", "12:30:61"]
WRONG: dict[str, list[tuple[str, str]]] = {
    "uuid": [
        (text, TYPE)
        for text in [
            *("x", "1", "0", "-", "null", "0190f4a2", "0190f4a27c1e7d3a9b5e2f6c8d1e4a70"),
            "{0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70}",
            "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a7g",
            "urn:uuid:0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70",
        ]
    ],
    "boolean": [(text, TYPE) for text in ["t", "f", "y", "n", "on", "off", "2", "01", "yes!", "wahr"]],
    "smallint": [*((text, TYPE) for text in _NOT_NUMBERS), ("32768", RANGE), ("9" * 30, RANGE)],
    "integer": [*((text, TYPE) for text in _NOT_NUMBERS), ("2147483648", RANGE), ("-9999999999", RANGE)],
    "bigint": [
        *((text, TYPE) for text in _NOT_NUMBERS),
        ("9223372036854775808", RANGE),
        ("-" + "9" * 40, RANGE),
    ],
    "numeric(12,2)": [*((text, TYPE) for text in _NOT_NUMBERS), ("1.005", TYPE), ("10000000000", RANGE)],
    "numeric": [*((text, TYPE) for text in _NOT_NUMBERS), ("NaN", TYPE), ("1e200000", RANGE)],
    "real": [*((text, TYPE) for text in _NOT_NUMBERS), ("1e39", RANGE), ("1e-50", RANGE)],
    "double precision": [*((text, TYPE) for text in _NOT_NUMBERS), ("Infinity", TYPE), ("1e309", RANGE)],
    "date": [*((text, TYPE) for text in _NOT_DATES), ("0000-01-01", RANGE), ("10000-01-01", RANGE)],
    "time without time zone": [*((text, TYPE) for text in _NOT_CLOCKS), ("12:30+02", TYPE)],
    "time with time zone": [*((text, TYPE) for text in _NOT_CLOCKS), ("12:30+16", TYPE)],
    "timestamp without time zone": [
        *((text, TYPE) for text in _NOT_DATES[:7]),
        ("2026-01-31T12:00Z", TYPE),
        ("2026-01-31T12:00:00.1234567", TYPE),
        ("-0044-03-15", RANGE),
    ],
    "timestamp with time zone": [
        *((text, TYPE) for text in _NOT_DATES),
        ("infinity", TYPE),
        ("0000-01-01", RANGE),
    ],
    "interval": [
        *((text, TYPE) for text in ["P", "PT", "1 day ago", "P1.5D", "1d", "a while", "P1S", "infinity"]),
        ("PT0.1234567S", TYPE),
        ("P99999999999D", RANGE),
    ],
    "interval year to month": [
        *((f"P1Y{part}", TYPE) for part in ("1D", "T1H", "T1M", "T1S", "T-0.000001S", "1W")),
        *((f"1 mon {part}", TYPE) for part in ("1 day", "00:00:01", "-00:01:00", "1 hour")),
    ],
    "json": [
        (text, TYPE)
        for text in ["{", "[1,]", "{a: 1}", "'a'", "NaN", "abc", "{} {}", "[01]", '{"a"}', '"\t"']
    ],
    "jsonb": [
        *((text, TYPE) for text in ["{", "[1,]", "{a: 1}", "'a'", "NaN", "abc", "{} {}", '"\\ud800"']),
        ('"\\u0000"', "bad_encoding"),
        ("1e200000", RANGE),
    ],
    "bytea": [
        (text, TYPE)
        for text in ["00", "x00", "\\x0", "\\xgg", "abc", "\\X00", "\\000", "AP8=", "\\x00 ", "0x00"]
    ],
    "character varying(3)": [(text * 4, LONG) for text in "abcdefghij"],
    "character(3)": [(text * 4, LONG) for text in "abcdefghij"],
    "integer[]": [
        *((text, TYPE) for text in ["{1,2}", "1,2", "[1", "[1.5]", "[[1]]", "[null]", '["a"]', '[""]', "{}"]),
        ("[9999999999]", RANGE),
    ],
    "integer[][]": [
        (text, TYPE)
        for text in [
            "[1]",
            "[[1],[2,3]]",
            "[[]]",
            "[[[1]]]",
            "{{1}}",
            "[[1],2]",
            "[[null]]",
            "x",
            "[[1]",
            '[["a"]]',
        ]
    ],
    "text[]": [
        (text, TYPE)
        for text in ["a", "{a}", "[a]", "['a']", "[1]", "[null]", '[["a"]]', '["a"', '["a",]', '"a"']
    ],
    "character varying(3)[]": [(f'["{text * 4}"]', LONG) for text in "abcdefghij"],
    "inet": [
        (text, TYPE)
        for text in [
            "x",
            "1.2.3",
            "256.1.1.1",
            "1.2.3.4/33",
            "::g",
            "1.2.3.4.5",
            "localhost",
            "-",
            "1.2.3.4/",
            "/8",
        ]
    ],
    "macaddr": [
        (text, TYPE)
        for text in [
            "x",
            "08:00",
            "08:00:2b:01:02:zz",
            "1",
            "-",
            "::",
            "08:00:2b:01:02:03:04:05",
            "a",
            "b",
            "c",
        ]
    ],
    "int4range": [
        *((text, TYPE) for text in ["x", "[1", "1,2", "[a,b]", "(1;2)", "[1,2,3]", "[]", "-"]),
        ("[5,1]", TYPE),
        ("[1,99999999999]", RANGE),
    ],
    "public.positive": [
        *((text, TYPE) for text in ["x", "1.5", "", "a", "--1", "1 2"]),
        *((text, "constraint") for text in ["0", "-1", "-2"]),
        ("99999999999", RANGE),
    ],
    "public.mood": [
        (text, TYPE) for text in ["SAD", "happy", "sad ", "0", "null", "Ok", "x", "y", "z", "ok."]
    ],
    "public.mood (choices)": [
        (text, "not_allowed") for text in ["SAD", "happy", "sad ", "0", "null", "Ok", "x", "y", "z", "ok."]
    ],
    "public.pair": [
        (text, TYPE)
        for text in ["x", "(1", "(1)", "(a,b)", "(1,2,3)", "1,2", "()", "(,,)", "[1,a]", "(1.5,a)"]
    ],
    "inet[]": [
        (text, TYPE)
        for text in ["x", "[1]", '["x"]', "{}", "[", "[[]]", '["1.2.3"]', "[null]", '[["::1"]]', '[""]']
    ],
    "tsvector": [("'a", TYPE)] * 10,
}


def test_ten_wrong_cells_of_every_type_are_failures_and_their_neighbours_load(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows 2, 4, 6, … have a wrong cell in every column; the rows between them have none with a value."""
    columns = [Column(name="id", type=ColumnType.UUID)]
    for number, name in enumerate(WRONG):
        words, _, with_choices = name.partition(" (choices")
        choices = ("sad", "ok", "very happy", "") if with_choices else ()
        columns.append(Column(name=f"c{number}", type=column_type.parse(words), choices=choices))
    table = Table(name="every_type", columns=tuple(columns), primary_key=("id",))
    create(table, database_url)
    names = [column.name for column in table.columns]
    lines: list[list[str | None]] = [[*names]]
    expected = {}
    for number in range(20):
        cells = [wrong[number // 2][0] if number % 2 else None for wrong in WRONG.values()]
        lines.append([uid(number + 1), *cells])
        if number % 2:
            codes = [wrong[number // 2][1] for wrong in WRONG.values()]
            expected |= {(number + 1, name): code for name, code in zip(names[1:], codes, strict=True)}
    world = World(database_url, table, tmp_path)

    with declared(table, monkeypatch):
        failures = world.load("x.csv", "".join(",".join(map(_cell, line)) + "\n" for line in lines).encode())
    world.postgres.close()

    assert {(failure["row"], failure["column"]): failure["code"] for failure in failures} == expected
    assert len(failures) == len(expected)
    stored = [line.split(b"\t")[0].decode() for line in world.content().splitlines()]
    assert stored == [uid(number + 1) for number in range(0, 20, 2)]
    said = {failure["column"]: failure["message"] for failure in failures if failure["row"] == 2}
    places = {column.name: str(column.type) for column in table.columns}
    by_type = {places[column]: message for column, message in said.items()}
    assert by_type["inet"].endswith(" 'x' is not inet: invalid input syntax for type inet: \"x\"")
