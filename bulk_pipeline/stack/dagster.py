"""Dagster's processes: code server, daemon and webserver, on one instance folder and one Postgres schema.

Runs are forks of a process that the code server keeps ready (see `orchestration.launch.code_server`).
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bulk_pipeline.postgres import admin, dagster_tables
from bulk_pipeline.shipped import shipped
from bulk_pipeline.stack.ports import HOST, is_open
from bulk_pipeline.stack.process import Service

SCHEMA = dagster_tables.SCHEMA
_LOCATION = "bulk_pipeline"
# The webserver creates the tables on its first start, this one last.
_LAST_TABLE = f"{SCHEMA}.asset_daemon_asset_evaluations"


@dataclass(frozen=True)
class Dagster:
    """Folder of the instance, and the ports of its servers."""

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
    """Return the database's URL for Dagster's storage, with its schema as search path.

    The driver is named because SQLAlchemy 2.1 defaults to psycopg 3, with which dagster-postgres 0.29 closes each
    connection after its first statement, and the webserver answers "the connection is closed".
    """
    address = database_url.partition("://")[2]
    separator = "&" if "?" in address else "?"
    return f"postgresql+psycopg2://{address}{separator}options={quote(f'-csearch_path={SCHEMA}', safe='')}"


def create(dagster: Dagster) -> None:
    """Write the instance's two configuration files."""
    shutil.copyfile(shipped("dagster.yaml"), dagster.folder / "dagster.yaml")
    dagster.workspace.write_text(
        "load_from:\n"
        f"  - grpc_server: {{host: {HOST}, port: {dagster.code_server_port}, location_name: {_LOCATION}}}\n"
    )


def tables_exist(database_url: str) -> bool:
    return admin.table_exists(database_url, _LAST_TABLE)


def code_server(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = [
        *(
            "bulk_pipeline.orchestration.launch.code_server",
            "--host",
            HOST,
            "--port",
            str(dagster.code_server_port),
        ),
        *("--module-name", dagster.definitions, "--location-name", _LOCATION, "--empty-working-directory"),
        *("--log-level", "warning"),
    ]
    return _service("code_server", arguments, dagster, environment, log)


def daemon(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = [
        "bulk_pipeline.orchestration.launch.daemon",
        "run",
        "--workspace",
        str(dagster.workspace),
        "--log-level",
        "warning",
    ]
    return _service("daemon", arguments, dagster, environment, log)


def webserver(dagster: Dagster, environment: Mapping[str, str], log: Path) -> Service:
    arguments = [
        *(
            "bulk_pipeline.orchestration.launch.webserver",
            "--host",
            HOST,
            "--port",
            str(dagster.webserver_port),
        ),
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
        answers=lambda: True,  # health.py checks all three at once
        stop_seconds=15,
        # A daemon or webserver that cannot reach the code server tries again only after a minute.
        may_restart=lambda: name == "code_server" or is_open(dagster.code_server_port),
    )
