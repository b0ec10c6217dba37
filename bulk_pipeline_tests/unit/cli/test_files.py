"""The commands that need no stack: check, parse, sample, tables."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bulk_pipeline.cli.app import app

GOOD = "0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a70,a@example.com,Ada,reader\n"
BAD = ",foo@bar,Ada,boss\n"
HEADER = "id,email,name,role\n"


def run(*words: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.csv"
    file.write_text(HEADER + GOOD + BAD)
    return file


def test_check_counts_failures_and_writes_the_reports(users: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    document = json.loads(run("check", users, "--table", "users", "--json", "-o", out, status=3))
    assert (document["total"], document["good"], document["rejected"]) == (2, 1, 1)
    assert document["failures"] == {"bad_format": 1, "not_allowed": 1, "required": 1}
    assert sorted(file.name for file in out.iterdir()) == ["errors.csv", "errors.ndjson", "rejected.csv"]
    assert (out / "errors.csv").read_text().startswith("row,error,raw\n2,")


def test_check_says_what_is_wrong_with_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("colour,size\nred,3\n")
    document = json.loads(run("check", file, "--table", "users", "--json", status=1))
    assert document["code"] in ("no_header", "missing_column")
    assert "colour" in document["error"]


def test_check_accepts_a_clean_file(users: Path) -> None:
    users.write_text(HEADER + GOOD)
    assert json.loads(run("check", users, "--table", "users", "--json"))["rejected"] == 0


def test_parse_shows_the_dialect_and_writes_clean_csv(tmp_path: Path) -> None:
    file, out = tmp_path / "a.txt", tmp_path / "a.csv"
    file.write_text("name;size\r\n'one';1\r\n'two; or three';2\r\n")
    document = json.loads(run("parse", file, "--json", "-o", out))
    assert (document["delimiter"], document["quote"], document["rows"]) == (";", "'", 2)
    assert out.read_text().splitlines() == ["name,size", "one,1", "two; or three,2"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", "a,b\n1,2\n1,2,3\n3,4\n", "malformed_row"),
        ("a.ndjson", '{"a": 1, "b": 2}\n{"a": 1, "b"\n{"a": 3, "b": 4}\n', "malformed_row"),
    ],
)
def test_parse_prints_the_failures_that_it_finds(tmp_path: Path, name: str, content: str, code: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    document = json.loads(run("parse", file, "--json"))
    (failure,) = document["failures"]
    assert (document["rows"], document["failure_count"]) == (3, 1)
    assert (failure["row"], failure["code"]) == (2, code)
    assert set(failure) == {"row", "line", "column", "code", "value", "message"}
    shown = CliRunner().invoke(app, ["parse", str(file)])
    assert f"row 2, line {failure['line']}: {failure['message']}" in shown.stderr


def test_parse_prints_no_failures_of_a_clean_file_and_the_first_hundred_of_a_bad_one(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    document = json.loads(run("parse", file, "--json"))
    assert (document["failure_count"], document["failures"]) == (0, [])
    file.write_text("a,b\n" + "1,2\n1,2,3\n" * 1000)
    document = json.loads(run("parse", file, "--json"))
    assert (document["failure_count"], len(document["failures"])) == (1000, 100)
    assert "and 990 more" in CliRunner().invoke(app, ["parse", str(file)]).stderr


def test_parse_of_several_files_goes_on_after_one_that_cannot_be_read(tmp_path: Path) -> None:
    good, empty, out = tmp_path / "good.csv", tmp_path / "empty.csv", tmp_path / "out"
    good.write_text("a,b\n1,2\n")
    empty.write_text("")
    documents = json.loads(run("parse", empty, good, "--json", "-o", out, status=1))
    assert "error" in documents[0]
    assert (out / "good.csv").read_text() == "a,b\n1,2\n"
    assert not (out / "empty.csv").exists()


def test_a_dash_is_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample = run("sample", "users", "--rows", "3", "-o", "-")
    (tmp_path / "users.csv").write_text(sample)
    assert run("parse", "users.csv", "-o", "-").startswith(sample)
    assert [file.name for file in tmp_path.iterdir()] == ["users.csv"]


def test_a_sample_is_the_same_for_the_same_seed_and_says_what_it_holds(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    words = ("sample", "users", "--rows", "2e2", "--seed", "7", "--bad", "5%", "--json")
    known = json.loads(run(*words, "-o", first))
    run(*words, "-o", second)
    assert first.read_bytes() == second.read_bytes()
    assert known["expected"]["insert_only"]["rejected"] == 10


def test_a_template_is_a_header_to_fill_in() -> None:
    assert run("tables", "comments", "--template", "csv") == "id,article_id,user_id,body,created_at\n"


def test_tables_as_json_is_one_document() -> None:
    described = json.loads(run("tables", "--json"))
    assert {table["table"] for table in described} == {"users", "customers", "articles", "comments"}
