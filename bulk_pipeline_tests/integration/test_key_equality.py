"""Keys that are equal for the database but not byte by byte are one key: blanks, numbers, zones, collations, citext."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from bulk_pipeline import tables
from bulk_pipeline.postgres import migrations
from bulk_pipeline.rows.key_forms import key_forms
from bulk_pipeline.schema import Column, Mode, Table
from bulk_pipeline.schema.column_type import parse
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.integration.test_load_model import split_rows
from bulk_pipeline_tests.rigs import debian
from bulk_pipeline_tests.rigs.loading import Loading, Row, counts
from bulk_pipeline_tests.rigs.pipeline import Pipeline

CREATE = """
CREATE TABLE public.people (
    code {type} PRIMARY KEY, note text, boss {type} REFERENCES public.people (code)
)"""
TYPES = {
    "char": "char(6)",
    "numeric": "numeric",
    "timestamptz": "timestamptz",
    "interval": "interval",
    "inet": "inet",
}
CELLS = {
    "char": ("a", "a ", "a  ", "b"),
    "numeric": ("1.0", "1.00", "1", "1.01"),
    "interval": ("P1D", "24:00:00", "1 day", "P1DT1S"),
    "inet": ("10.0.0.1", "10.0.0.1/32", "10.0.0.1", "10.0.0.2"),
    "timestamptz": (
        "2026-01-01T00:00Z",
        "2026-01-01T05:45+05:45",
        "2025-12-31T19:00-05:00",
        "2026-01-01T00:00+01:00",
    ),
}
"""Three forms of one key, and another key."""


@pytest.fixture(params=[*TYPES])
def people(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> tuple[Pipeline, tuple[str, ...]]:
    """A pipeline that serves a table with a key of the type, and cells of the key."""
    monkeypatch.setattr(registry, "_served", None)
    type_ = TYPES[request.param]
    with psycopg.connect(pipeline.stores.database_url) as connection:
        connection.execute(CREATE.format(type=type_).encode())
    (tmp_path / "tables").mkdir()
    declared = type_.partition(" ")[0]
    (tmp_path / "tables" / "people.yaml").write_text(
        f"name: people\ncolumns:\n  code: {{type: {declared}}}\n  note: {{type: text}}\n"
        f"  boss: {{type: {declared}}}\nprimary_key: [code]\n"
        "foreign_keys:\n  - {columns: [boss], table: people, references: [code]}\n"
    )
    assert tables.serve(tmp_path).problems() == ()
    return pipeline, CELLS[request.param]


def csv(*rows: tuple[str, ...]) -> bytes:
    return "".join(",".join(f'"{cell}"' if cell else "" for cell in row) + "\n" for row in rows).encode()


def test_equal_keys_of_a_file_are_one_key(people: tuple[Pipeline, tuple[str, ...]]) -> None:
    pipeline, (one, two, three, other) = people
    header = ("code", "note", "boss")
    job = pipeline.load(
        "people/insert_only/a.csv", csv(header, (one, "1", ""), (two, "2", ""), (other, "3", three))
    )
    assert (job.error, job.failure_counts) == (None, {"duplicate_in_file": 1})
    job = pipeline.load("people/insert_only/b.csv", csv(header, (three, "4", "")))
    assert job.failure_counts == {"already_exists": 1}
    job = pipeline.load(
        "people/upsert/c.csv", csv(header[:2], (two, "5"), (three, "6"), (other, "7"), (one, "8"))
    )
    counts = pipeline.counts(job)
    assert (counts.updated, counts.superseded, counts.rejected) == (2, 2, 0)
    assert pipeline.query("SELECT note FROM public.people ORDER BY note") == [("7",), ("8",)]
    pipeline.query("DELETE FROM public.people RETURNING 1")
    job = pipeline.load("people/upsert/d.csv", csv(header[:2], (one, "1"), (other, "2"), (two, "3")))
    counts = pipeline.counts(job)
    assert (counts.inserted, counts.superseded, counts.rejected) == (2, 1, 0)
    assert pipeline.query("SELECT note FROM public.people ORDER BY note") == [("2",), ("3",)]


FOLDED = "CREATE COLLATION public.folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"


@pytest.fixture(scope="module")
def debian_url() -> Iterator[str]:
    """A database of Debian's Postgres, which has ICU and citext, unlike the embedded one."""
    programs = debian.program("postgres", "postgresql").resolve().parent
    user = "nobody" if os.geteuid() == 0 else None  # Postgres refuses to run as root
    with TemporaryDirectory(prefix="debian-postgres-") as folder:
        if user:
            shutil.chown(folder, user)

        def run(program: str, *words: str) -> None:
            words = (str(programs / program), "-D", f"{folder}/data", *words)
            subprocess.run(words, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        port = free_port()
        run("initdb", "-U", "bulk", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            url = f"postgresql://bulk@127.0.0.1:{port}/postgres"
            migrations.migrate(url)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION citext")
                connection.execute(FOLDED.encode())
            yield url
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


@pytest.mark.debian
@pytest.mark.parametrize(
    ("type_", "keys"),
    [
        ("citext", ("ANNA", "anna", "Anna", "Änna")),
        ("text COLLATE public.folded", ("Résumé", "resume", "RESUME", "resumee")),
        ("char(8) COLLATE public.folded", ("Résumé", "resume  ", "RESUME", "resumee")),
    ],
)
def test_the_database_says_which_texts_are_equal(debian_url: str, type_: str, keys: tuple[str, ...]) -> None:
    one, two, three, other = keys
    declared = Table(
        name="people",
        columns=(Column(name="code", type=parse(type_.partition(" ")[0])), Column(name="name")),
        primary_key=("code",),
        unique_keys=(("name",),),
    )
    with psycopg.connect(debian_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS public.people")
        connection.execute(
            f"CREATE TABLE public.people (code {type_} PRIMARY KEY, name text UNIQUE)".encode()
        )

    def load(mode: Mode, *rows: tuple[str, str]) -> tuple[object, list[tuple[int, str]]]:
        job = Loading(debian_url, declared, mode, batch_rows=2).start()
        with job.postgres() as postgres:
            job = replace(job, table=replace(declared, key_forms=key_forms(postgres, declared)))
            file: list[Row] = [{"code": code, "name": name} for code, name in rows]
            good, codes = split_rows(job, file)
            return job.load(*good), sorted(codes + job.failures("row", "code"))

    assert load(Mode.INSERT_ONLY, (one, "1"), (two, "2"), (other, "3")) == (
        counts("2 inserted, 1 rejected"),
        [(2, "duplicate_in_file")],
    )
    assert load(Mode.INSERT_ONLY, (three, "4")) == (counts("1 rejected"), [(1, "already_exists")])
    assert load(Mode.UPSERT, (two, "5"), (three, "6"), (other, "7"), (one, "8")) == (
        counts("2 updated, 2 superseded"),
        [],
    )
    assert load(Mode.UPSERT, (two, "7")) == (counts("1 rejected"), [(1, "key_conflict")])
    assert load(Mode.UPSERT, (other, "8"), (two, "9"), (other, "8")) == (
        counts("1 rejected, 2 updated"),
        [(1, "key_conflict")],
    )
    job = Loading(debian_url, declared)
    assert job.execute("SELECT name FROM public.people ORDER BY name") == [("8",), ("9",)]


def test_a_row_whose_key_is_taken_while_it_is_written_is_not_counted_as_inserted(database_url: str) -> None:
    """Here by a row of its own batch, whose key is known to be equal to the database alone."""
    declared = Table(name="hosts", columns=(Column(name="ip", type=parse("inet")),), primary_key=("ip",))
    job = Loading(database_url, declared)
    job.execute("CREATE TABLE public.hosts (ip inet PRIMARY KEY)")
    assert job.load({"ip": "10.0.0.1"}, {"ip": "10.0.0.1/32"}) == counts("1 inserted, 1 rejected")
    assert job.failures("row", "code") == [(2, "already_exists")]
    assert job.execute("SELECT count(*) FROM public.hosts") == [(1,)]
