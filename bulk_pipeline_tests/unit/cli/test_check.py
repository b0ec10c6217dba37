"""`check`: which rows an import would reject and why, and the rows it would load, without any stack."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from bulk_pipeline.cli.app import app
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

A, B, C = (f"0190f4a2-7c1e-7d3a-9b5e-2f6c8d1e4a7{n}" for n in range(3))
HEADER = "id,email,name,role\n"
GOOD = f"{A},a@example.com,Ada,reader\n"
BAD = ",foo@bar,Ada,boss\n"
NOT_CHECKED = "not checked without the database: keys in the table, references, constraints of the database"
ACCEPTED = f'_row,id,email,name,role\n1,"{A}","a@example.com","Ada","reader"\n'


def run(*words: str | Path, status: int = 0, width: int = 200) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(width)})
    assert result.exit_code == status, result.output
    return result.stdout


def document(*words: str | Path, status: int = 0) -> Any:
    return json.loads(run("check", *words, "--json", status=status))


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.csv"
    file.write_text(HEADER + GOOD + BAD)
    return file


def test_failures_are_lines_with_row_line_column_value_and_problem(users: Path) -> None:
    shown = run("check", users, "--table", "users", status=3).splitlines()
    assert shown[0] == f"{users}: 1 row accepted, 1 rejected (users, insert_only)"
    assert [line.rstrip() for line in shown[1:]] == [
        "  row  line  column  value    problem",
        "    2     3  id               id is required, but the cell is empty",
        "    2     3  email   foo@bar  email 'foo@bar' is not an address like local@domain.tld",
        "    2     3  role    boss     role 'boss' is not one of admin, author, editor, reader",
        "  failures by code: bad_format 1, not_allowed 1, required 1",
        NOT_CHECKED,
    ]


def test_ten_failures_are_shown_and_the_others_counted(users: Path) -> None:
    users.write_text(HEADER + GOOD + BAD * 1_000)
    shown = run("check", users, "--table", "users", status=3).splitlines()
    assert shown[0] == f"{users}: 1 row accepted, 1,000 rejected (users, insert_only)"
    assert len(shown) == 1 + 1 + 10 + 3
    assert shown[-3] == "  … and 2,990 more; -o FOLDER writes all of them"
    assert len(document(users, "--table", "users", status=3)["first_failures"]) == 10


@pytest.mark.parametrize(
    ("days", "is_named"), [(["31.12.2026", "30.12.2026"], True), (["31.12.2026", "", ""], False)]
)
def test_a_file_that_writes_most_dates_another_way_is_sent_to_propose(
    tmp_path: Path, days: list[str], is_named: bool
) -> None:
    file = tmp_path / "of may.csv"
    file.write_text("email,created_at\n" + "".join(f"{n}@x.co,{day}\n" for n, day in enumerate(days)))
    shown = run("check", file, "--table", "customers", status=3).splitlines()
    assert (f"    bulk-pipeline propose '{file}' --table customers" in shown) is is_named


def test_a_cell_tells_the_terminal_nothing(users: Path) -> None:
    users.write_text(HEADER + f"{A},a@example.com,Ada,\x1b[2Jboss\n")
    assert "\x1b" not in run("check", users, "--table", "users", status=3)


def test_rows_of_json_have_no_line(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    file.write_text(json.dumps([{"id": A, "email": "x", "name": "Ada", "role": "reader"}]))
    shown = run("check", file, "--table", "users", status=3).splitlines()
    assert shown[1].split() == ["row", "column", "value", "problem"]


def test_a_document_has_the_first_failures(users: Path) -> None:
    result = document(users, "--table", "users", status=3)
    assert (result["total"], result["good"], result["rejected"]) == (2, 1, 1)
    assert result["failures"] == {"bad_format": 1, "not_allowed": 1, "required": 1}
    assert result["first_failures"][1] == {
        "row": 2,
        "line": 3,
        "column": "email",
        "code": "bad_format",
        "value": "foo@bar",
        "message": "email 'foo@bar' is not an address like local@domain.tld",
    }
    assert (result["reports"], result["accepted"]) == ([], None)


def test_the_rows_and_reports_of_an_import_are_written(users: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    result = document(users, "--table", "users", "-o", out, status=3)
    names = ["accepted.csv", "errors.csv", "errors.ndjson", "rejected.csv"]
    assert sorted(file.name for file in out.iterdir()) == names
    assert [result["accepted"], *result["reports"]] == [str(out / name) for name in names]
    assert (out / "errors.csv").read_text().startswith("row,error,raw\n2,")
    assert (out / "accepted.csv").read_text() == ACCEPTED


@pytest.mark.parametrize("format_", ["csv", "tsv", "ndjson", "json", "parquet", "xlsx"])
def test_accepted_rows_are_those_of_the_file_in_every_format(tmp_path: Path, format_: str) -> None:
    rows = [
        {"id": A, "email": "a@example.com", "name": "Ada", "role": "reader"},
        {"id": None, "email": "foo@bar", "name": "Ada", "role": "boss"},
        {"id": C, "email": "c@example.com", "name": "Cy", "role": "admin"},
    ]
    file, out = tmp_path / f"users.{format_}", tmp_path / "out"
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    match format_:
        case "csv" | "tsv":
            between = "," if format_ == "csv" else "\t"
            file.write_text("".join(between.join(cell or "" for cell in row) + "\n" for row in table))
        case "ndjson":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "json":
            file.write_text(json.dumps(rows))
        case "parquet":
            parquet.write_table(pa.Table.from_pylist(rows), file)
        case _:
            file.write_bytes(workbook(table))
    run("check", file, "--table", "users", "-o", out, status=3)
    result = list(csv.DictReader(io.StringIO((out / "accepted.csv").read_text())))
    numbers = [row.pop("_row") for row in result]
    assert result == [rows[0], rows[2]]
    assert int(numbers[1]) - int(numbers[0]) == 2


def test_accepted_values_are_typed_and_spelled_as_an_export_spells_them(tmp_path: Path) -> None:
    file, out = tmp_path / "articles.csv", tmp_path / "out"
    file.write_text(
        "status,slug,title,body,author_id,tags,published_at,colour,id\n"
        f'published,a-b,"say ""x""",b,{A.upper()},"[""x"", ""y""]",2026-01-31 12:00+02:00,red,{B.upper()}\n'
        f"draft,c,t,b,{A},,,red,{C}\n"
    )
    run("check", file, "--table", "articles", "-o", out)
    assert (out / "accepted.csv").read_text() == (
        "_row,id,slug,title,body,author_id,tags,published_at,status\n"
        f'1,"{B}","a-b","say ""x""","b","{A}","[""x"",""y""]","2026-01-31T10:00:00.000000Z","published"\n'
        f'2,"{C}","c","t","b","{A}",,,"draft"\n'
    )
    file = tmp_path / "comments.csv"
    file.write_text(f"id,article_id,user_id,body\n{A},{B},{C},x\n")
    run("check", file, "--table", "comments", "-o", out)
    assert (out / "accepted.csv").read_text().splitlines()[1] == f'1,"cm_{A}","{B}","{C}","x"'
    file = tmp_path / "users.csv"
    file.write_text(
        f"id,email,name,role,active\n{A},a@example.com,Ada,reader,NO\n{B},b@example.com,B,reader,\n"
    )
    run("check", file, "--table", "users", "-o", out)
    assert [line.rpartition(",")[2] for line in (out / "accepted.csv").read_text().splitlines()] == [
        "active",
        "false",
        "true",
    ]


def test_a_key_that_the_file_uses_twice_is_rejected_as_an_import_would(users: Path, tmp_path: Path) -> None:
    users.write_text(HEADER + GOOD + GOOD.replace("a@", "b@") + BAD)
    result = document(users, "--table", "users", "-o", tmp_path / "out", status=3)
    assert (result["good"], result["failures"]["duplicate_in_file"]) == (1, 1)
    assert (tmp_path / "out" / "accepted.csv").read_text() == ACCEPTED
    assert document(users, "--table", "users", "--mode", "upsert", status=3)["good"] == 2


def test_accepted_rows_can_be_checked_again(users: Path, tmp_path: Path) -> None:
    run("check", users, "--table", "users", "-o", tmp_path / "1", status=3)
    result = document(tmp_path / "1" / "accepted.csv", "--table", "users", "-o", tmp_path / "2")
    assert (result["good"], result["rejected"], result["warnings"]) == (1, 0, [])
    assert (tmp_path / "2" / "accepted.csv").read_text() == ACCEPTED


def test_a_clean_file_has_no_reports_and_those_of_an_earlier_check_go(users: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("check", users, "--table", "users", "-o", out, status=3)
    (out / "mine.txt").write_text("stays")
    users.write_text(HEADER + GOOD)
    run("check", users, "--table", "users", "-o", out)
    assert sorted(file.name for file in out.iterdir()) == ["accepted.csv", "mine.txt"]
    users.write_text("")
    run("check", users, "--table", "users", "-o", out, status=1)
    assert [file.name for file in out.iterdir()] == ["mine.txt"]


def test_a_checked_file_is_never_written_over(users: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("check", users, "--table", "users", "-o", out, status=3)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    run("check", out / "rejected.csv", "--table", "users", "-o", out, status=2)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_several_files_are_checked_each_in_a_folder_of_its_own(users: Path, tmp_path: Path) -> None:
    clean, out = tmp_path / "clean.csv", tmp_path / "out"
    clean.write_text(HEADER + GOOD)
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "users.csv"
    other.write_text(HEADER + BAD)
    result = document(users, clean, other, "--table", "users", "-o", out, status=3)
    assert [(one["file"], one["good"], one["rejected"]) for one in result] == [
        (str(users), 1, 1),
        (str(clean), 1, 0),
        (str(other), 0, 1),
    ]
    assert {folder.name: sorted(file.name for file in folder.iterdir()) for folder in out.iterdir()} == {
        "users.csv": ["accepted.csv", "errors.csv", "errors.ndjson", "rejected.csv"],
        "clean.csv": ["accepted.csv"],
        "users-2.csv": ["accepted.csv", "errors.csv", "errors.ndjson", "rejected.csv"],
    }
    assert (out / "users-2.csv" / "accepted.csv").read_text() == "_row,id,email,name,role\n"
    shown = run("check", users, clean, "--table", "users", status=3).splitlines()
    assert shown[-2:] == [f"{clean}: 1 row accepted, 0 rejected (users, insert_only)", NOT_CHECKED]
    assert shown.count(NOT_CHECKED) == 1


def test_a_file_that_cannot_be_read_says_nothing_of_what_is_not_checked(users: Path) -> None:
    users.write_text("")
    (shown,) = run("check", users, "--table", "users", status=1).splitlines()
    assert shown.startswith(f"{users}: cannot be read: ")


def test_the_exit_status_is_that_of_the_worst_file(users: Path, tmp_path: Path) -> None:
    clean, broken = tmp_path / "clean.csv", tmp_path / "broken.csv"
    clean.write_text(HEADER + GOOD)
    broken.write_text("colour,size\nred,3\n")
    result = document(broken, users, clean, "--table", "users", "-o", tmp_path / "out", status=1)
    assert result[0]["code"] in ("no_header", "missing_column")
    assert "colour" in result[0]["error"]
    assert [one.get("rejected") for one in result] == [None, 1, 0]
    assert not (tmp_path / "out" / "broken.csv").exists()
    shown = run("check", broken, "--table", "users", status=1)
    assert shown.startswith(f"{broken}: cannot be read: ")


def test_a_warning_is_shown(users: Path) -> None:
    users.write_text("colour," + HEADER + "red," + GOOD)
    shown = run("check", users, "--table", "users").splitlines()
    assert shown[1] == "  warning: columns that users does not have are ignored: colour"


def test_an_encoding_that_files_do_not_have_is_refused(users: Path) -> None:
    document_ = document(users, "--table", "users", "--encoding", "rot13", status=1)
    assert document_["error"] == "'rot13' is not an encoding of text files: name one like utf-8 or cp1252"
