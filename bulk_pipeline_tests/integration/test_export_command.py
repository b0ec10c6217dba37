"""`bulk-pipeline export -o` to a file or stdout, and commands about export jobs."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pyarrow import parquet

from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.command_here import run_here
from bulk_pipeline_tests.rigs.exports import Exporting


@pytest.fixture
def environ(settings: Settings) -> dict[str, str]:
    """Return the environment in which the command finds the test's servers."""
    names = ("s3_endpoint_url", "s3_access_key", "s3_bucket_exports")
    result = {name.upper(): str(getattr(settings, name)) for name in names}
    secret = settings.s3_secret_key
    result["S3_SECRET_KEY"] = secret.get_secret_value() if secret else ""
    return {**os.environ, **result, "DATABASE_URL": settings.database_url.get_secret_value()}


def command(*words: object) -> list[str]:
    return [str(Path(sys.executable).with_name("bulk-pipeline")), *map(str, words)]


def run(environ: dict[str, str], *words: object, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a separate process, which takes two seconds for imports."""
    done = subprocess.run(command(*words), env=environ, capture_output=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return done


class Here:
    """Runs the command in this process."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ

    def run(self, *words: object, status: int = 0) -> tuple[bytes, bytes]:
        """Return its output on stdout and stderr."""
        done = run_here(self._environ, *words)
        assert done.returncode == status, done.stderr
        return done.stdout, done.stderr

    def document(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json")[0])


@pytest.fixture
def here(environ: dict[str, str]) -> Here:
    return Here(environ)


def test_a_file_of_the_requested_rows(exporting: Exporting, here: Here, tmp_path: Path) -> None:
    exporting.have("a@x.co", "b@x.co", "c@x.co")
    out = tmp_path / "some.csv.gz"
    options: Sequence[object] = (
        "--columns",
        "email,city",
        "--where",
        "email != b@x.co",
        "--order",
        "email desc",
    )
    summary = here.document("export", "customers", "-o", out, *options)
    assert gzip.decompress(out.read_bytes()) == b'email,city\n"c@x.co",\n"a@x.co",\n'
    assert (summary["file"], summary["rows"], summary["bytes"]) == (str(out), 2, out.stat().st_size)
    assert list(tmp_path.iterdir()) == [out]
    assert exporting.stores.exports.newest() == []


def test_stdout_has_the_rows_and_nothing_else(exporting: Exporting, environ: dict[str, str]) -> None:
    exporting.have("=a@x.co")
    done = run(environ, "export", "customers", "-o", "-", "--columns", "email", "--for-spreadsheets")
    assert (done.stdout, done.stderr) == (b'\xef\xbb\xbfemail,_defused\n"\'=a@x.co",\n', b"")


def test_the_name_of_the_file_says_the_format(exporting: Exporting, here: Here, tmp_path: Path) -> None:
    exporting.have("a@x.co", "b@x.co")
    options = ("--columns", "email,city", "--order", "email")
    for name in ("x.csv", "x.tsv", "x.ndjson", "x.json", "x.jsonl.gz", "x"):
        here.run("export", "customers", "-o", tmp_path / name, *options)
    here.run("export", "customers", "-o", tmp_path / "x.parquet", *options)
    here.run("export", "customers", "-o", tmp_path / "x.xlsx", *options)
    lines = [{"email": "a@x.co", "city": None}, {"email": "b@x.co", "city": None}]
    assert (tmp_path / "x.csv").read_bytes() == b'email,city\n"a@x.co",\n"b@x.co",\n'
    assert (tmp_path / "x").read_bytes() == (tmp_path / "x.csv").read_bytes()
    assert (tmp_path / "x.tsv").read_bytes() == b'email\tcity\n"a@x.co"\t\n"b@x.co"\t\n'
    assert [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()] == lines
    assert gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()) == (tmp_path / "x.ndjson").read_bytes()
    assert json.loads((tmp_path / "x.json").read_text()) == lines
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == lines
    (sheet,) = load_workbook(tmp_path / "x.xlsx").worksheets
    assert [*sheet.values] == [("email", "city"), ("a@x.co", None), ("b@x.co", None)]


@pytest.mark.parametrize(
    ("name", "words", "summary"),
    [
        ("x.xls", (), b"cannot write .xls: use .csv, .tsv, .ndjson, .json, .parquet or .xlsx"),
        ("x.csv.zip", (), b"cannot write .zip: "),
        ("x.txt", (), b"the extension .txt of "),
        ("x.xlsx", ("--format", "csv"), b"implies xlsx, but csv was requested"),
        ("x.json", ("--format", "csv"), b"implies json, but csv was requested"),
        ("x.csv", ("--compression", "gzip"), b"implies a file that is not compressed, but compression gzip"),
        ("x.tsv", ("--for-spreadsheets",), b"for_spreadsheets is for csv, not tsv"),
    ],
)
def test_no_file_has_another_format_than_its_name(
    exporting: Exporting, here: Here, tmp_path: Path, name: str, words: Sequence[str], summary: bytes
) -> None:
    exporting.have("a@x.co")
    message = here.run("export", "customers", "-o", tmp_path / name, *words, status=1)[1]
    assert message.startswith(b"error: ")
    assert summary in message
    assert list(tmp_path.iterdir()) == []


def test_a_job_writes_every_format_too(exporting: Exporting, here: Here) -> None:
    exporting.have("a@x.co")
    for format_ in ("tsv", "json"):
        job = here.document("export", "customers", "--no-wait", "--format", format_)
        assert (job["status"], job["format"]) == ("pending", format_)


def test_a_place_that_is_none_is_one_sentence(exporting: Exporting, here: Here, tmp_path: Path) -> None:
    exporting.have("a@x.co")
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "x.csv"
    message = here.run("export", "customers", "-o", below, status=1)[1]
    assert message.decode() == f"error: cannot write {below}: Not a directory\n"
    message = here.run("export", "customers", "-o", tmp_path, "--format", "csv", status=1)[1]
    assert message.decode() == f"error: cannot write {tmp_path}: it is a folder\n"


def test_a_file_that_does_not_become_whole_does_not_appear(
    exporting: Exporting, here: Here, tmp_path: Path
) -> None:
    exporting.execute("INSERT INTO customers (email, created_at) VALUES ('a@x.co', 'infinity')")
    out = tmp_path / "x.csv"
    out.write_text("the one before")
    message = here.run("export", "customers", "-o", out, status=1)[1]
    assert b"created_at holds a time outside the years 1 to 9999" in message
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(out, "the one before")]


def test_a_full_disk_is_one_sentence(exporting: Exporting, here: Here) -> None:
    exporting.have("a@x.co")
    assert (
        here.run("export", "customers", "-o", "/dev/full", status=1)[1]
        == b"error: cannot write /dev/full: No space left on device\n"
    )


def test_a_reader_that_has_seen_enough_ends_it_quietly(exporting: Exporting, environ: dict[str, str]) -> None:
    exporting.have_many(30_000)
    with subprocess.Popen(
        command("export", "customers", "-o", "-"), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == b"id,email,f"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("words", "status", "summary"),
    [
        (("nobody", "-o", "-"), 1, b"error: unknown table 'nobody': expected one of "),
        (("users", "-o", "-", "--where", "age=7"), 1, b"error: filter 'age=7': users has no column 'age'"),
        (("users", "-o", "-", "--columns", "age"), 1, b"error: columns: users has no column 'age'"),
        (("users", "-o", "-", "--incremental"), 2, b"an incremental export is a job"),
    ],
)
def test_an_invalid_request_is_an_error_before_anything_is_written(
    here: Here, words: Sequence[str], status: int, summary: bytes
) -> None:
    out, err = here.run("export", *words, status=status)
    assert out == b""
    assert summary in b" ".join(err.replace(b"\xe2\x94\x82", b" ").split())


def test_a_job_is_requested_listed_and_cancelled(here: Here) -> None:
    options = (
        "export",
        "users",
        "--no-wait",
        "--format",
        "ndjson",
        "--idempotency-key",
        "k",
        "--where",
        "active=yes",
    )
    job = here.document(*options)
    assert (job["status"], job["filters"], job["requested_by"]) == ("pending", ["active = true"], "cli")
    assert job["expires_at"] > job["created_at"]
    assert here.document(*options)["id"] == job["id"]
    assert [entry["id"] for entry in here.document("exports", "--table", "users")] == [job["id"]]
    assert here.document("export-status", job["id"])["folder"].endswith(f"/{job['id']}/")
    assert job["id"].encode() in here.run("exports")[0]
    assert b"active = true" in here.run("export-status", job["id"])[0]
    assert here.run("cancel", job["id"])[0] == b"cancelled before it started: export of users\n"
    assert here.document("exports", "--status", "cancelled")[0]["id"] == job["id"]
    assert b"is cancelled already" in here.run("cancel", job["id"], status=1)[1]
    nobody = "00000000-0000-0000-0000-000000000000"
    assert b"error: no export" in here.run("export-status", nobody, status=1)[1]
