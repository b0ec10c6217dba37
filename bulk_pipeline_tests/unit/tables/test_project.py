"""A project folder: its table files, the modules of its rules, and what happens when they change."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from bulk_pipeline import tables
from bulk_pipeline.errors import DeclarationError, SettingsError, UnknownTableError
from bulk_pipeline.schema import Column, ColumnType, Table
from bulk_pipeline.settings import ProjectSettings, read_project
from bulk_pipeline.tables import registry as registries
from bulk_pipeline.tables.project import TableFile
from bulk_pipeline.tables.registry import TableRegistry

ORDERS = """\
name: orders
columns:
  id: {type: uuid, generated: uuid}
  paid: {type: boolean}
  paid_on: {type: timestamp with time zone}
rules:
  - check: rules:paid_has_date
    columns: [paid, paid_on]
    message: a paid order has a date
"""
RULES = """\
def paid_has_date(rows):
    return ~rows["paid"] | rows["paid_on"].notna()
"""
PRODUCTS = """\
from bulk_pipeline.schema import Column, ColumnType, Table

TABLE = Table(name="products", columns=(Column(name="id", type=ColumnType.UUID),))
"""
PLAIN = "name: {}\ncolumns: {{id: {{type: uuid}}}}\n"


class Shop:
    """A project folder to change, and its registry, which looks at once."""

    def __init__(self, folder: Path, packages: Sequence[TableFile] = ()) -> None:
        self.folder = folder
        self.written = 0
        (folder / "tables").mkdir()
        self.registry = TableRegistry(folder, lambda: packages)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self.written += 1
        os.utime(path, ns=(self.written, self.written))  # no clock is too coarse to tell the change


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(registries, "_LOOK_SECONDS", 0)
    shop = Shop(tmp_path)
    shop.write("tables/orders.yaml", ORDERS)
    shop.write("tables/products.py", PRODUCTS)
    shop.write("rules.py", RULES)
    return shop


def passes(shop: Shop) -> list[bool]:
    """Return what the rule of orders says about an unpaid order, and about a paid one without a date."""
    (rule,) = shop.registry.get("orders").rules
    return list(rule.passes(pd.DataFrame({"paid": [False, True], "paid_on": [None, None]})))


def test_tables_come_from_yaml_and_python_files(shop: Shop) -> None:
    assert (shop.registry.names(), shop.registry.problems()) == (("orders", "products"), ())
    assert passes(shop) == [True, False]


def test_a_file_that_is_added_changed_or_removed_is_noticed(shop: Shop) -> None:
    assert shop.registry.names() == ("orders", "products")
    shop.write("tables/invoices.yaml", PLAIN.format("invoices"))
    assert shop.registry.names() == ("invoices", "orders", "products")
    shop.write("tables/invoices.yaml", PLAIN.format("bills"))
    assert shop.registry.names() == ("bills", "orders", "products")
    (shop.folder / "tables" / "invoices.yaml").unlink()
    assert shop.registry.names() == ("orders", "products")


def test_a_table_that_was_added_a_moment_ago_is_known(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "_LOOK_SECONDS", 3600)
    assert shop.registry.names() == ("orders", "products")
    shop.write("tables/invoices.yaml", PLAIN.format("invoices"))
    assert shop.registry.get("invoices").name == "invoices"


def test_a_rule_that_is_changed_in_its_module_is_noticed(shop: Shop) -> None:
    assert passes(shop) == [True, False]
    shop.write("rules.py", RULES.replace("~", ""))
    assert passes(shop) == [False, True]


def test_a_running_process_keeps_a_table_whose_file_becomes_wrong(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    before = shop.registry.get("orders")
    shop.write("tables/orders.yaml", ORDERS.replace("columns:", "colums:", 1))
    shop.write("tables/invoices.yaml", PLAIN.format("invoices"))

    problem = "tables/orders.yaml, line 2: unknown key 'colums': did you mean columns?"
    with caplog.at_level(logging.INFO):
        assert shop.registry.names() == ("invoices", "orders", "products")
    assert shop.registry.get("orders") == before
    assert shop.registry.problems() == (problem,)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", problem),
        ("INFO", "tables added: invoices"),
    ]
    shop.write("tables/orders.yaml", ORDERS.replace("orders", "sales"))
    assert (shop.registry.names(), shop.registry.problems()) == (("invoices", "products", "sales"), ())


def test_a_broken_file_beside_good_ones_is_named_where_its_table_is_asked_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("tables/orders.yaml", "name: orders\n")
    shop.write("tables/invoices.yaml", PLAIN.format("invoices"))

    assert shop.registry.names() == ("invoices",)
    with pytest.raises(UnknownTableError) as unknown:
        shop.registry.get("orders")
    assert str(unknown.value) == (
        "unknown table 'orders': expected one of invoices; tables/orders.yaml, line 1: the key columns is missing: add it"
    )


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "tables/b.py",
            "TABEL = 1",
            "tables/b.py: no TABLE in it: assign a Table to TABLE, or move the file",
        ),
        ("tables/b.py", "TABLE = 1", "tables/b.py: TypeError: 'int' object is not iterable"),
        ("tables/b.py", "TABLE = [1]", "tables/b.py: expected a Table or several, not int"),
        ("tables/b.py", "x = 1\nx = (", "tables/b.py, line 2: SyntaxError: '(' was never closed"),
        (
            "tables/b.py",
            "x = 1\nx.y\n",
            "tables/b.py, line 2: AttributeError: 'int' object has no attribute 'y'",
        ),
        (
            "rules.py",
            "x = 1\nx.y\n",
            "line 7: rules: check: rules.py, line 2: AttributeError: 'int' object has",
        ),
        (
            "rules.py",
            "",
            "line 7: rules: check: rules has no function paid_has_date: define it, or correct the",
        ),
        (
            "rules.py",
            "import nothing",
            "line 7: rules: check: rules.py, line 1: ModuleNotFoundError: No module",
        ),
        (
            "tables/b.yaml",
            "name: ä".encode("latin-1"),
            "tables/b.yaml, line 1: not UTF-8: save the file as UTF-8",
        ),
        (
            "tables/b.yaml",
            PLAIN.format("orders"),
            "table orders is declared more than once, in tables/b.yaml and",
        ),
        (
            "tables/orders.yaml",
            ORDERS.replace("rules:p", "rule:p"),
            "tables/orders.yaml, line 7: rules: check: no module rule: create rule.py in ",
        ),
        (
            "tables/orders.yaml",
            ORDERS.replace("rules:paid_has_date", "rules"),
            "line 7: rules: check: 'rules' names no function: write module:function, rules:paid_has_date for",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_and_the_other_tables_are_served(
    shop: Shop, name: str, content: str | bytes, problem: str
) -> None:
    path = shop.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    assert "products" in shop.registry.names()
    (result,) = shop.registry.problems()
    assert problem in result


def test_two_declarations_of_one_table_are_not_served_unless_one_was_before(shop: Shop) -> None:
    shop.write("tables/products2.py", PRODUCTS)
    assert shop.registry.names() == ("orders",)
    (shop.folder / "tables" / "products2.py").unlink()
    assert shop.registry.names() == ("orders", "products")
    shop.write("tables/products2.py", PRODUCTS)
    assert shop.registry.names() == ("orders", "products")
    assert shop.registry.problems() == (
        "table products is declared more than once, in tables/products.py and tables/products2.py: keep one of them",
    )


def test_a_folder_that_goes_away_removes_no_table(shop: Shop) -> None:
    assert shop.registry.names() == ("orders", "products")
    (shop.folder / "tables").rename(shop.folder / "elsewhere")
    assert shop.registry.names() == ("orders", "products")
    (problem,) = shop.registry.problems()
    assert "tables is missing: restore the folder, or name another in BULK_PROJECT" in problem


def test_a_run_keeps_the_tables_that_it_began_with(shop: Shop) -> None:
    with shop.registry.held():
        shop.write("tables/invoices.yaml", PLAIN.format("invoices"))
        assert shop.registry.names() == ("orders", "products")
    assert shop.registry.names() == ("invoices", "orders", "products")


def test_two_projects_may_have_modules_of_the_same_name(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Shop(tmp_path_factory.mktemp("other"))
    other.write("tables/orders.yaml", ORDERS)
    other.write("rules.py", RULES.replace("~", ""))

    assert (passes(shop), passes(other)) == ([True, False], [False, True])
    assert "rules" not in sys.modules
    assert not list(shop.folder.rglob("*.pyc"))


def test_a_module_that_the_program_has_imported_is_left_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(shop.folder)
    import rules  # pyright: ignore[reportMissingImports]

    try:
        assert shop.registry.get("orders").rules[0].passes is rules.paid_has_date
        assert sys.modules["rules"] is rules
    finally:
        del sys.modules["rules"]


def test_packages_bring_tables(tmp_path: Path) -> None:
    products = Table(name="products", columns=(Column(name="id", type=ColumnType.UUID),))
    broken = TableFile(
        "shop:TABLES of the package shop", problem="shop:TABLES of the package shop: ImportError: no"
    )
    shop = Shop(tmp_path, [TableFile("stock:TABLES of the package stock", (products,)), broken])
    shop.write("tables/orders.yaml", PLAIN.format("orders"))

    assert shop.registry.names() == ("orders", "products")
    assert shop.registry.problems() == (broken.problem,)


def test_a_folder_of_a_package_is_read_or_refused_as_a_whole(shop: Shop) -> None:
    assert [table.name for table in tables.read_folder(shop.folder)] == ["orders", "products"]
    shop.write("tables/orders.yaml", "")
    with pytest.raises(DeclarationError, match=r"tables/orders\.yaml, line 1: the file is empty"):
        tables.read_folder(shop.folder)


def test_the_environment_names_the_project(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(shop.folder / "tables")
    assert ProjectSettings().project is None
    monkeypatch.setenv("BULK_PROJECT", str(shop.folder))
    assert ProjectSettings().project == shop.folder
    monkeypatch.setenv("BULK_PROJECT", "none")
    monkeypatch.chdir(shop.folder)
    assert ProjectSettings().project is None
    monkeypatch.delenv("BULK_PROJECT")
    assert ProjectSettings().project == shop.folder
    monkeypatch.setenv("BULK_PROJECT", "nowhere")
    with pytest.raises(SettingsError, match="BULK_PROJECT: 'nowhere' has no folder tables: create it"):
        read_project()
