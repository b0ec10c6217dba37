"""A stack with external Postgres and S3 servers, each behind a bad network, on a small disk.

The servers are watched and revived as a supervisor of a stack does it. The stack connects as an ordinary role that
owns its database, so that rights can be taken from it.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bulk_pipeline import stack as embedded
from bulk_pipeline.postgres.migrations import SAMPLE_TABLES
from bulk_pipeline.settings import Settings
from bulk_pipeline.shipped import shipped
from bulk_pipeline.stack import graphql, objects, postgres
from bulk_pipeline.stack import home as homes
from bulk_pipeline.stack.children import Children
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline.stack.process import wait
from bulk_pipeline_tests.faults.evidence import TABLES, Places
from bulk_pipeline_tests.faults.proxy import Proxy
from bulk_pipeline_tests.rigs.plain_s3 import plain_client

PROJECT = Path(__file__).parent / "project"
"""Declares the tables of the sample data, and others with numbers as keys, a key of two columns and an enum."""
ROLE = "pipeline"
DISK_BYTES = 64_000_000
_BUCKETS = ("uploads", "archive", "reports", "exports")
_SETTINGS = {
    "BULK_BATCH_ROWS": "50",
    "BULK_LEASE_SECONDS": "6",
    "BULK_HEARTBEAT_SECONDS": "1",
    "BULK_RETRY_SECONDS": "0.5",
    "BULK_MAX_CRASHES": "100",  # processes are killed here, not crashed by files
    "BULK_MAX_ATTEMPTS": "100",  # an outage must never fail a job
    "BULK_SETTLE_SECONDS": "1",
    "BULK_PARENT_WAIT_SECONDS": "3600",
    "BULK_WORK_RETENTION_HOURS": "0",
    "BULK_MIN_FREE_BYTES": "1000000",  # of DISK_BYTES
}
_CLEAN_UP = """mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}"""
_SELECTOR = {
    "repositoryLocationName": "bulk_pipeline",
    "repositoryName": "__repository__",
    "jobName": "clean_up",
}


@dataclass
class Rig:
    """`postgres` and `s3` are the networks in between; `database_url` and `s3_url` bypass them."""

    folder: Path
    cluster: Cluster
    gateway: Gateway
    postgres: Proxy
    s3: Proxy
    children: Children = field(default_factory=Children)
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def database_url(self) -> str:
        return self.cluster.url("bulk")

    def environ(self) -> dict[str, str]:
        foreign = {name.upper() for name in Settings.model_fields}
        address = f"{ROLE}:{self.cluster.password}@127.0.0.1:{self.postgres.port}/bulk"
        return {name: value for name, value in os.environ.items() if name not in foreign} | {
            **_SETTINGS,
            "DATABASE_URL": f"postgresql://{address}?sslmode=disable&gssencmode=disable",
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{self.s3.port}",
            "S3_ACCESS_KEY": self.gateway.access_key,
            "S3_SECRET_KEY": self.gateway.secret_key,
            "BULK_PROJECT": str(PROJECT),
            "BULK_WORK_DIR": str(self.work),
            "BULK_SCRATCH_DIR": str(self.work),
        }

    @cached_property
    def client(self) -> Any:
        """Return a plain boto3 client that bypasses the network."""
        return self._client(attempts=5)

    @cached_property
    def dropper(self) -> Any:
        """Return a client for dropping files that does not retry, so that no file is dropped twice unnoticed."""
        return self._client(attempts=1)

    def _client(self, attempts: int) -> Any:
        at = self.gateway
        return plain_client(at.url, at.access_key, at.secret_key, attempts=attempts)

    def places(self) -> Places:
        return Places(self.database_url, self.client, self.work)

    def connect(self) -> psycopg.Connection:
        """Return the rows of a query as the superuser, bypassing the network."""
        return psycopg.connect(self.database_url, autocommit=True, connect_timeout=5)

    def query(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), given or None).fetchall()

    def processing(self) -> list[dict[str, Any]]:
        """Return the running jobs: kind, id, run, attempt."""
        found = self.query("""
            SELECT 'import', job.id::text, job.run_id, job.attempt
            FROM bulk.import_jobs AS job
            JOIN bulk.job_leases AS lease ON lease.job_id = job.id AND lease.run_id = job.run_id
            WHERE job.status = 'processing' AND job.total_rows IS NOT NULL
            UNION ALL
            SELECT 'export', job.id::text, job.run_id, job.attempt
            FROM bulk.export_jobs AS job
            JOIN bulk.job_leases AS lease ON lease.job_id = job.id AND lease.run_id = job.run_id
            WHERE job.status = 'processing'
        """)
        return [dict(zip(("kind", "id", "run_id", "attempt"), row, strict=True)) for row in found]

    def open_jobs(self) -> int:
        ((count,),) = self.query("""
            SELECT (SELECT count(*) FROM bulk.import_jobs WHERE status IN ('pending', 'processing'))
                 + (SELECT count(*) FROM bulk.export_jobs WHERE status IN ('pending', 'processing'))
        """)
        return count

    def service(self, name: str) -> psutil.Process | None:
        """Return a running process of the stack, or of one of the two servers."""
        if name in ("postgres", "objects"):
            child = self.children[name]
            return psutil.Process(child.process.pid) if child.alive else None
        started = homes.read(homes.at(self.home)).services.get(name)
        return started.find() if started else None

    def everything(self) -> list[psutil.Process]:
        """Return all processes of the stack and the servers, the supervisor first, so that it restarts none."""
        record = homes.read(homes.at(self.home))
        heads = [record.supervisor.find() if record.supervisor else None]
        heads += [self.service(name) for name in (*record.services, "objects", "postgres")]
        found = [head for head in heads if head]
        return list(dict.fromkeys([*found, *(child for head in found for child in _children(head))]))

    def up(self) -> None:
        embedded.up(self.home, detach=True, environ=self.environ())

    def is_healthy(self) -> bool:
        return embedded.status(self.home).healthy

    def clean_up(self) -> str | None:
        """Start the nightly cleaning. Return the run's id, or None if the webserver cannot start it yet."""
        url = embedded.status(self.home).dagster_url
        if url is None:
            return None
        try:
            return graphql.ask(url, _CLEAN_UP, {"selector": _SELECTOR})["launchRun"]["run"]["runId"]
        except (OSError, KeyError):
            return None

    def run_status(self, run_id: str) -> str:
        ((status,),) = self.query("SELECT status FROM dagster.runs WHERE run_id = %s", run_id)
        return status

    def forget(self) -> None:
        """Empty tables, ledger and buckets."""
        ours = ", ".join(f"public.{table}" for table in TABLES)
        with self.connect() as connection:
            connection.execute(
                f"TRUNCATE {ours}, bulk.import_jobs, bulk.export_jobs, bulk.deleted_rows CASCADE".encode()
            )
        for bucket in _BUCKETS:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for found in page.get("Contents", ()):
                    self.client.delete_object(Bucket=bucket, Key=found["Key"])

    def _watch(self) -> None:
        while not self._closing.wait(0.25):
            self.children.revive(time.monotonic())

    def start(self) -> None:
        objects.create(self.gateway)
        postgres.create(self.cluster)
        known = {
            "database_url": "postgresql://nowhere",
            "s3_endpoint_url": self.gateway.url,
            "s3_access_key": self.gateway.access_key,
            "s3_secret_key": self.gateway.secret_key,
        }
        settings = Settings.model_validate(known)
        logs = self.folder / "logs"
        logs.mkdir()
        for service in (
            objects.service(self.gateway, settings, logs / "objects.log"),
            postgres.service(self.cluster, logs / "postgres.log"),
        ):
            wait(self.children.start(service), 60)
        with psycopg.connect(self.cluster.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self.cluster.password}'".encode())
            connection.execute(f"CREATE DATABASE bulk OWNER {ROLE}".encode())
        threading.Thread(target=self._watch, daemon=True).start()
        self.up()
        with self.connect() as connection:
            connection.execute(f"SET ROLE {ROLE}".encode())
            for file in (*sorted((shipped("sql") / SAMPLE_TABLES).glob("*.sql")), PROJECT / "orders.sql"):
                connection.execute(file.read_bytes())

    def stop(self) -> None:
        with suppress(Exception):
            embedded.down(self.home, purge=True)
        self._closing.set()
        self.children.stop(["objects", "postgres"])
        self.postgres.close()
        self.s3.close()
        self.client.close()
        self.dropper.close()


@contextmanager
def rig() -> Iterator[Rig]:
    """Run a rig in the folder."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-pipeline-faults-"))
    folder.chmod(0o711)  # for `nobody`, who runs Postgres if root owns the stack
    cluster = Cluster(
        postgres.reserve_folder(folder / "postgres"), free_port(), objects.new_secret(), version=18
    )
    gateway = Gateway(folder / "objects", free_port(), objects.new_secret())
    to_postgres, to_s3 = (Proxy(("127.0.0.1", port)) for port in (cluster.port, gateway.port))
    made = Rig(folder, cluster, gateway, to_postgres, to_s3)
    made.work.mkdir()
    mounted = mount(made.work)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        if mounted:
            subprocess.run(["umount", "-l", made.work], check=False)
        postgres.remove_folder(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def mount(folder: Path) -> bool:
    """Mount a small disk on the folder, which needs root. Return whether that succeeded."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []
