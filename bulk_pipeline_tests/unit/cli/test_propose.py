"""`propose`: prints YAML that a table file takes, and writes it there without a change to what is by hand."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bulk_pipeline import tables
from bulk_pipeline.cli.app import app
from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema import read_format
from bulk_pipeline.schema.table_files.update import declare
from bulk_pipeline.tables import registry

TABLE = """\
name: orders
columns:
  order_no: {type: text}
  amount: {type: "numeric(12,2)"}  # net
  ordered_on: {type: date}
# files come from the shop
upload_format:
  encoding: cp1252  # of their export
  decimal: "."
default_mode: upsert
primary_key: [order_no]
"""
FILE = "order_no;amount;ordered_on\nA;1.234,50;31.12.2025\nB;n/a;01.02.2026\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "orders.yaml").write_text(TABLE)
    (tmp_path / "orders.csv").write_text(FILE)
    tables.serve(tmp_path)
    return tmp_path


def run(project: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["propose", str(project / "orders.csv"), "--table", "orders", *words])
    assert result.exit_code == status, result.output
    return result.stdout


def test_an_unreadable_file_is_an_error(project: Path) -> None:
    (project / "orders.csv").write_text("colour\nred\n")
    result = CliRunner().invoke(app, ["propose", str(project / "orders.csv"), "--table", "orders"])
    assert "no usable header: found colour" in str(result.exception)


def test_a_delimiter_that_is_not_detected_is_proposed_with_the_names_that_it_separates(project: Path) -> None:
    (project / "orders.csv").write_text("order_no!amount\nA-1!1,50\nB-2!2,50\n")
    assert run(project, "--write").splitlines()[1:4] == [
        "upload_format:",
        '  delimiter: "!"  # only so line 1 names order_no, amount',
        "  decimal: \",\"  # only so amount '1,50' (row 1) is a number",
    ]
    tables.serve(project)
    assert tables.get("orders").upload_format == read_format(
        {"encoding": "cp1252", "delimiter": "!", "decimal": ","}
    )


def test_cells_that_nothing_explains_are_said_and_exit_with_3(project: Path) -> None:
    (project / "orders.csv").write_text("order_no;amount\nA;much\n")
    shown = run(project, "--write", status=3).splitlines()
    assert shown == [
        "# orders.csv, 1 row",
        "# its cells need no setting",
        "# no setting is known that reads amount 'much' (row 1)",
    ]
    assert (project / "tables" / "orders.yaml").read_text() == TABLE


def test_settings_are_printed_as_yaml_with_their_evidence(project: Path) -> None:
    assert run(project).splitlines() == [
        "# orders.csv, 2 rows",
        "upload_format:",
        "  null_words: n/a  # no value of its column: amount 'n/a' (row 2)",
        "  decimal: \",\"  # only so amount '1.234,50' (row 1) is a number",
        "  thousands: \".\"  # only so amount '1.234,50' (row 1) is a number",
        "  date_format: DD.MM.YYYY  # only so ordered_on '31.12.2025' (row 1) is a date",
    ]
    assert (project / "tables" / "orders.yaml").read_text() == TABLE


def test_settings_are_written_into_the_table_s_file_whose_comments_stay(project: Path) -> None:
    wrote = run(project, "--write").splitlines()[-1]
    assert wrote.endswith('orders.yaml: null_words: now n/a; decimal: "." becomes ","; thousands: now "."; '
                          "date_format: now DD.MM.YYYY")  # fmt: skip
    assert (project / "tables" / "orders.yaml").read_text() == TABLE.replace(
        '  decimal: "."\n', '  decimal: ","\n  null_words: n/a\n  thousands: "."\n  date_format: DD.MM.YYYY\n'
    )
    tables.serve(project)
    assert tables.get("orders").upload_format == read_format(
        {
            "encoding": "cp1252",
            "null_words": "n/a",
            "decimal": ",",
            "thousands": ".",
            "date_format": "DD.MM.YYYY",
        }
    )
    assert run(project, "--write").splitlines()[-1].endswith("nothing new")


def test_settings_are_written_into_a_new_profile(project: Path) -> None:
    shown = run(project, "--profile", "acme", "--write").splitlines()
    assert shown[1:4] == [
        "profiles:",
        "  acme:",
        "    null_words: n/a  # no value of its column: amount 'n/a' (row 2)",
    ]
    written = (project / "tables" / "orders.yaml").read_text()
    assert written.startswith(TABLE)
    tables.serve(project)
    assert dict(tables.get("orders").profiles) == {
        "acme": read_format(
            {"null_words": "n/a", "decimal": ",", "thousands": ".", "date_format": "DD.MM.YYYY"}
        )
    }
    assert run(project, "--profile", "acme", "--write").splitlines()[-1].endswith("nothing new")


def propose_table(project: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(
        app, ["propose", str(project / "orders.csv"), "--new-table", "shop.orders", *words]
    )
    assert result.exit_code == status, result.output
    return str(result.exception) if status == 1 else result.stdout


def test_a_new_table_is_printed_and_written_as_two_files(project: Path) -> None:
    shown = propose_table(project)
    assert not (project / "tables" / "shop.orders.yaml").exists()
    wrote = propose_table(project, "--write")
    declared, create = project / "tables" / "shop.orders.yaml", project / "shop.orders.sql"
    assert shown == f"{declared.read_text()}\n{create.read_text()}"
    assert wrote == f"{shown}# wrote {declared}\n# wrote {create}\n"
    assert tables.serve(project).problems() == ()
    assert tables.get("shop.orders").column_names == ("order_no", "amount", "ordered_on")


def test_files_of_a_new_table_that_exist_stay_unless_they_may_be_replaced(project: Path) -> None:
    create = project / "shop.orders.sql"
    create.write_text("mine")
    assert f"{create} exists" in propose_table(project, "--write", status=1)
    assert (create.read_text(), (project / "tables" / "shop.orders.yaml").exists()) == ("mine", False)
    propose_table(project, "--write", "--overwrite")
    assert create.read_text().startswith("-- Proposed from orders.csv, 2 rows.\n")


def test_rows_that_a_new_table_would_not_take_are_said_and_exit_with_3(project: Path) -> None:
    (project / "orders.csv").write_text("order_no;amount\nA;1\nB\n")
    assert propose_table(project, status=3).splitlines()[-1] == (
        "# an import would reject 1 of 2 rows; row 2: has 1 cell, expected 2"
    )


@pytest.mark.parametrize("words", [[], ["--table", "orders", "--new-table", "x"]])
def test_a_proposal_is_about_one_table(project: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["propose", str(project / "orders.csv"), *words])
    assert (result.exit_code, "give --table or --new-table" in result.stderr) == (2, True)


def test_code_page_and_names_are_written_beside_those_that_are_declared(project: Path) -> None:
    declared = project / "tables" / "orders.yaml"
    declared.write_text(
        TABLE.replace("  encoding: cp1252  # of their export\n", "  columns: {Tag: ordered_on}\n")
    )
    tables.serve(project)
    (project / "orders.csv").write_bytes("order_no;Tag;amounts\nMüller;2025-12-31;1\n".encode("cp1252"))
    assert run(project, "--write").splitlines()[:4] == [
        "# orders.csv, 1 row",
        "upload_format:",
        "  encoding: cp1252  # row 1 is not UTF-8; only so 'Müller' and all other letters are German",
        "  columns: {amounts: amount}  # 'amounts' is near amount, for which the file has no other name",
    ]
    assert "  columns: {Tag: ordered_on, amounts: amount}\n" in declared.read_text()
    tables.serve(project)
    written = tables.get("orders").upload_format
    assert (written.encoding, written.columns) == ("cp1252", (("Tag", "ordered_on"), ("amounts", "amount")))
    assert run(project).splitlines() == ["# orders.csv, 1 row", "# its cells need no setting"]


def test_what_is_given_is_proposed(project: Path) -> None:
    """So that an import with the profile needs no options."""
    (project / "orders.csv").write_text("no. 7;;\nNummer;Tag;amounts\nA;2025-12-31;1\n")
    options = (
        "--encoding cp1250 --delimiter ; --header-row 2 --column Nummer=order_no --column Tag=ordered_on"
    )
    assert run(project, "--profile", "acme", "--write", *options.split()).splitlines()[1:-1] == [
        "profiles:",
        "  acme:",
        "    encoding: cp1250  # given with --encoding",
        '    delimiter: ";"  # given with --delimiter',
        "    header_row: 2  # given with --header-row",
        "    columns: {Nummer: order_no, Tag: ordered_on, amounts: amount}  # given with --column; 'amounts' is near "
        "amount, for which the file has no other name",
    ]
    tables.serve(project)
    assert dict(tables.get("orders").profiles)["acme"] == read_format(
        {
            "encoding": "cp1250",
            "delimiter": ";",
            "header_row": "2",
            "columns": "Nummer=order_no, Tag=ordered_on, amounts=amount",
        }
    )


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("name: t", ("a",), "name: t\na:\n  x: 1\n  y: [b]\n"),
        ("name: t\na: {x: 0, z: 2} # c\n", ("a",), 'name: t\na: {x: "1", z: "2", y: [b]} # c\n'),
        ("a:\n  z: 2 # c\n# d\nname: t\n", ("a",), "a:\n  z: 2 # c\n  x: 1\n  y: [b]\n# d\nname: t\n"),
        ("p:\n  q:\n    z: 2\n", ("p", "q"), "p:\n  q:\n    z: 2\n    x: 1\n    y: [b]\n"),
        ("p:\n  r: {z: 2}\n", ("p", "q"), "p:\n  r: {z: 2}\n  q:\n    x: 1\n    y: [b]\n"),
    ],
)
def test_a_value_is_set_where_its_mapping_is(text: str, keys: tuple[str, ...], expected: str) -> None:
    values = {"x": "1", "y": ["b"]}
    written = declare(text, "t.yaml", keys, values).text
    assert written == expected.replace("x: 1\n", 'x: "1"\n')
    assert declare(written, "t.yaml", keys, values).changes == ()


def test_a_file_that_cannot_be_changed_in_place_is_refused() -> None:
    with pytest.raises(DeclarationError, match="expected keys with values"):
        declare("a: b\n", "t.yaml", ("a",), {"x": "y"})
