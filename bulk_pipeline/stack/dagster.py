"""Dagster's processes: code server, daemon and webserver, on one instance folder and one Postgres schema.

Runs are forks of a process that the code server keeps warm (see `orchestration.code_server`).
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import bulk_pipeline
from bulk_pipeline.errors import StackError
from bulk_pipeline.stack.ports import HOST, is_open
from bulk_pipeline.stack.process import Service
from bulk_pipeline.stores import dagster_tables, servers

SCHEMA = dagster_tables.SCHEMA
_LOCATION = "bulk_pipeline"
# The webserver makes the tables on its first start, in an order that ends with this one.
_LAST_TABLE = f"{SCHEMA}.asset_daemon_asset_evaluations"


@dataclass(frozen=True)
class Dagster:
    """Where its instance lives and on which ports it serves."""

    folder: Path
    webserver_port: int
    code_server_port: int
    definitions: str
    """The module that holds the code location."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.webserver_port}"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace.yaml"


def storage_url(database_url: str) -> str:
    """The same database, with Dagster's schema as the place for tables.

    The driver is named because SQLAlchemy 2.1 would take psycopg 3, where dagster-postgres 0.29 closes each
    connection with its first statement: the webserver answers "the connection is closed".
    """
    address = database_url.partition("://")[2]
    separator = "&" if "?" in address else "?"
    return f"postgresql+psycopg2://{address}{separator}options={quote(f'-csearch_path={SCHEMA}', safe='')}"


def create(dagster: Dagster) -> None:
    """Write the instance's two configuration files."""
    shutil.copyfile(_instance_file(), dagster.folder / "dagster.yaml")
    dagster.workspace.write_text(
        "load_from:\n"
        f"  - grpc_server: {{host: {HOST}, port: {dagster.code_server_port}, location_name: {_LOCATION}}}\n"
    )


def tables_exist(database_url: str) -> bool:
    return servers.table_exists(database_url, _LAST_TABLE)


def code_server(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = [
        *("bulk_pipeline.orchestration.code_server", "--host", HOST, "--port", str(dagster.code_server_port)),
        *("--module-name", dagster.definitions, "--location-name", _LOCATION, "--empty-working-directory"),
        *("--log-level", "warning"),
    ]
    return _service("code_server", arguments, dagster, environment, log)


def daemon(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = ["dagster._daemon", "run", "--workspace", str(dagster.workspace), "--log-level", "warning"]
    return _service("daemon", arguments, dagster, environment, log)


def webserver(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = [
        *("bulk_pipeline.orchestration.webserver", "--host", HOST, "--port", str(dagster.webserver_port)),
        *("--workspace", str(dagster.workspace), "--dagster-log-level", "warning"),
    ]
    return _service("webserver", arguments, dagster, environment, log)


def _service(
    name: str, arguments: list[str], dagster: Dagster, environment: Mapping[str, str], log: Path
) -> Service:
    return Service(
        name=name,
        command=[sys.executable, "-m", *arguments],
        environment=environment,
        folder=dagster.folder,
        log=log,
        answers=lambda: True,  # health.py asks all three at once
        stop_seconds=15,
        # A daemon or webserver that does not find the code server looks for it again after a minute.
        may_restart=lambda: name == "code_server" or is_open(dagster.code_server_port),
    )


def _instance_file() -> Path:
    """dagster.yaml: beside the package in a checkout, inside it when installed."""
    package = Path(bulk_pipeline.__file__).parent
    for candidate in (package / "_dagster.yaml", package.parent / "dagster.yaml"):
        if candidate.exists():
            return candidate
    raise StackError(f"dagster.yaml is missing in {package}")
