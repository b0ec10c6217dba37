"""A project from nothing: `init`, `up`, a file for its own table, and a table that is added while the stack runs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_pipeline import stack as embedded
from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline_tests.acceptance.conftest import reached
from bulk_pipeline_tests.conftest import stack_environ
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, until

INVOICES = (
    "name: invoices\ncolumns:\n  id: {type: uuid, generated: uuid}\n  number: {type: text, required: true}\n"
    "primary_key: [id]\n"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new project whose stack is running, as its README.md says."""
    folder = tmp_path_factory.mktemp("project")
    folder.chmod(0o711)  # for `nobody`, who runs Postgres for root
    run(folder, "init", "shop")
    project = folder / "shop"
    try:
        run(project, "up", "--detach")
        run(project, "psql", "-q", "-f", "products.sql")
        yield project
    finally:
        run(project, "down", "--purge")


@pytest.fixture(scope="module")
def world(shop: Path) -> Iterator[RunningStack]:
    with reached(embedded.status(shop / ".bulk")) as running:
        yield running


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    """Run the command in the folder, as people do; return what it prints."""
    command = [str(Path(sys.executable).with_name("bulk-pipeline")), *arguments]
    environ = {**stack_environ(), "PATH": os.environ["PATH"]}
    found = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    assert found.returncode == status, found.stdout + found.stderr
    return found.stdout


def document(folder: Path, *arguments: str, status: int = 0) -> Any:
    return json.loads(run(folder, *arguments, "--json", status=status))


def test_a_file_is_imported_into_the_projects_own_table(shop: Path, world: RunningStack) -> None:
    (shop / "products.csv").write_bytes(csv("sku,title,state", "AB-1,Lamp,draft", "AB-2,Chair,listed"))
    (job,) = document(shop, "import", "products.csv", "--table", "products", status=3)
    assert (job["inserted"], job["failures"]) == (1, {"rule:listed_has_time": 1})
    assert world.query("SELECT sku, title, state FROM products WHERE sku <> 'AB-9'") == [
        ("AB-1", "Lamp", "draft")
    ]


def test_the_ledger_is_all_that_is_made_in_the_database(world: RunningStack) -> None:
    found = {name for (name,) in world.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert found - {"invoices"} == {"products"}


def test_a_table_is_added_while_the_stack_runs_and_a_wrong_file_beside_it_hides_nothing(
    shop: Path, world: RunningStack
) -> None:
    world.execute(
        "CREATE TABLE IF NOT EXISTS invoices (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number text NOT NULL)"
    )
    (shop / "tables" / "broken.yaml").write_text("name: broken\ncolums: {}\n")
    (shop / "tables" / "invoices.yaml").write_text(INVOICES)
    job = world.finished(
        world.drop("invoices/upsert/i.csv", csv("id,number", "01a00000-0000-7000-8000-000000000001,7"))
    )
    assert (job.status, job.error) == (Status.COMPLETED, None)
    assert world.query("SELECT number FROM invoices") == [("7",)]

    (finding,) = [found for found in document(shop, "doctor", status=1) if found["subject"] == "table files"]
    assert finding["problem"] == "tables/broken.yaml, line 2: unknown key 'colums': did you mean columns?"
    (shop / "tables" / "broken.yaml").unlink()
    assert run(shop, "export", "invoices", "--columns", "number", "-o", "-").split() == ["number", '"7"']


def test_a_changed_declaration_holds_for_the_next_file(shop: Path, world: RunningStack) -> None:
    file = shop / "tables" / "products.yaml"
    file.write_text(file.read_text().replace("[draft, listed, sold]", "[draft, listed, sold, gone]"))
    key = "products/gone.csv"
    content = csv("sku,title,state", "AB-9,Lamp,gone")

    def imported() -> bool:
        """The sensor and the runs notice the change within seconds, and one of them may be earlier."""
        job = world.load(key, content, force="true")
        return job.status is Status.COMPLETED

    until(imported, "an import that knows the new choice", seconds=30)
    assert world.query("SELECT state FROM products WHERE sku = 'AB-9'") == [("gone",)]
