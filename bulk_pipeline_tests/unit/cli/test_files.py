"""The commands that need no stack, except `check`: parse, sample, tables."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bulk_pipeline.cli.app import app
from bulk_pipeline.errors import SelectionError


def run(*words: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result.stdout


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


def test_parse_of_several_files_continues_after_an_unreadable_one(tmp_path: Path) -> None:
    good, empty, out = tmp_path / "good.csv", tmp_path / "empty.csv", tmp_path / "out"
    good.write_text("a,b\n1,2\n")
    empty.write_text("")
    documents = json.loads(run("parse", empty, good, "--json", "-o", out, status=1))
    assert "error" in documents[0]
    assert (out / "good.csv").read_text() == "a,b\n1,2\n"
    assert not (out / "empty.csv").exists()


def test_clean_csv_is_never_written_under_another_name(tmp_path: Path) -> None:
    book, packed, out = tmp_path / "a.json", tmp_path / "a.csv.gz", tmp_path / "out"
    book.write_text('[{"a":"1"}]')
    packed.write_bytes(gzip.compress(b"a\n2\n"))
    run("parse", book, packed, "-o", out)
    assert {file.name: file.read_text() for file in out.iterdir()} == {
        "a.json.csv": "a\n1\n",
        "a.csv.gz.csv": "a\n2\n",
    }
    for name in ("clean.xlsx", "clean.json", "clean.csv.gz"):
        with pytest.raises(SelectionError, match=r"cannot write \.(xlsx|json|gz): use \.csv"):
            CliRunner().invoke(app, ["parse", str(book), "-o", str(tmp_path / name)], catch_exceptions=False)
        assert not (tmp_path / name).exists()


def test_files_of_one_name_do_not_write_over_each_other(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text(f"a\n{folder}\n")
    run("parse", tmp_path / "x" / "a.csv", tmp_path / "y" / "a.csv", "-o", tmp_path / "out")
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        "a.csv": "a\nx\n",
        "a-2.csv": "a\ny\n",
    }


def test_a_dash_is_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample = run("sample", "users", "--rows", "3", "-o", "-")
    (tmp_path / "users.csv").write_text(sample)
    assert run("parse", "users.csv", "-o", "-").startswith(sample)
    assert [file.name for file in tmp_path.iterdir()] == ["users.csv"]


def test_a_sample_is_the_same_for_the_same_seed_and_describes_its_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    words = ("sample", "users", "--rows", "2e2", "--seed", "7", "--bad", "5%", "--json")
    known = json.loads(run(*words, "-o", first))
    run(*words, "-o", second)
    assert first.read_bytes() == second.read_bytes()
    assert known["expected"]["insert_only"]["rejected"] == 10


def test_the_name_of_a_sample_says_its_format(tmp_path: Path) -> None:
    run("sample", "users", "--rows", "2", "-o", tmp_path / "x.ndjson")
    run("sample", "users", "--rows", "2", "-o", tmp_path / "x.csv")
    assert [json.loads(line)["name"] for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert (tmp_path / "x.csv").read_text().startswith("id,email,name")


@pytest.mark.parametrize(
    ("name", "words"),
    [("x.parquet", ()), ("x.csv.gz", ()), ("x.xlsx", ()), ("x.json", ()), ("x.csv", ("--format", "ndjson"))],
)
def test_a_sample_is_never_written_under_another_name(
    tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    command = ["sample", "users", "--rows", "2", "-o", str(tmp_path / name), *words]
    with pytest.raises(SelectionError, match=name.partition(".")[2].rpartition(".")[2]):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [(("--rows", "many"), "--rows"), (("--rows", "1", "--bad", "200%"), "--bad"),
     (("--rows", "1", "--parents", "x"), "--parents")],
)  # fmt: skip
def test_a_number_that_is_none_names_its_option(words: tuple[str, ...], named: str) -> None:
    result = CliRunner().invoke(app, ["sample", "comments", *words], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"Invalid value for {named}: " in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("jobs", "--status", "done"), "Invalid value for '--status': 'done' is not one of 'pending', 'processing'"),
        (("jobs", "--limit", "many"), "Invalid value for '--limit': 'many' is wrong; expected a whole number"),
        (("jobs", "--limit", "0"), "Invalid value for '--limit': "),
        (("export", "users", "--compression", "lz"), "Invalid value for '--compression': 'lz' is not one of"),
        (("bench", "load", "--format", "xml"), "Invalid value for '--format': 'xml' is not one of"),
        (("check", __file__, "--table", "users", "--column", "x"), "Invalid value for --column: columns 'x' is not"),
        (("check", __file__, "--table", "users", "--header", "x"), "Invalid value for --header: header 'x' is not"),
        (("import", __file__, "--table", "users", "--date-format", "DD"), "Invalid value for --date-format: format 'DD' is"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_in_our_words(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Value error" not in result.stderr
    assert "Input should be" not in result.stderr


def test_a_template_is_a_header_to_fill_in(tmp_path: Path) -> None:
    assert run("tables", "comments", "--template", "csv") == "id,article_id,user_id,body\n"
    assert run("tables", "comments", "--template", "ndjson") == (
        '{"id":null,"article_id":null,"user_id":null,"body":null}\n'
    )
    assert run("tables", "comments", "--template", "xlsx", "-o", tmp_path / "c.xlsx") == ""
    assert run("check", tmp_path / "c.xlsx", "--table", "comments").startswith(
        f"{tmp_path / 'c.xlsx'}: 0 rows"
    )


def test_tables_as_json_is_one_document() -> None:
    described = json.loads(run("tables", "--json"))
    assert {table["table"] for table in described} == {"users", "customers", "articles", "comments"}


@pytest.mark.parametrize("command", ["check", "import"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "~$book.xlsx",
            b"email\na@b.co\n",
            "is not an upload: this is the lock file of an open Office document",
        ),
        ("._a.csv", b"email\na@b.co\n", "is not an upload: this is what macOS keeps about the file 'a.csv'"),
        ("a.xls", b"<html><table>", "this is a web page with a table"),
    ],
)
def test_a_file_that_is_no_upload_is_refused_before_anything_is_sent(
    command: str, name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    result = CliRunner().invoke(app, [command, str(tmp_path / name), "--table", "customers"])
    assert result.exit_code == 1
    assert words in (result.output if command == "check" else str(result.exception))
