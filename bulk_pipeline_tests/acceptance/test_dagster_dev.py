"""`dagster dev` in the project's folder, with the environment that workspace.yaml names, imports dropped files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.stack.graphql import ask
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Service, running
from bulk_pipeline_tests.rigs.compose import ROOT
from bulk_pipeline_tests.rigs.running_stack import until

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent


def test_dagster_dev_imports_a_dropped_file(
    empty_database_url: str,
    object_server: Gateway,
    buckets: dict[str, str],
    s3_client: s3.Client,
    tmp_path: Path,
) -> None:
    for name in ("workspace.yaml", "dagster.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    address = empty_database_url.replace("postgresql:", "postgresql+psycopg2:")
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DATABASE_URL": empty_database_url,
        "DAGSTER_POSTGRES_URL": f"{address}?options=-csearch_path%3Ddagster",
        "S3_ENDPOINT_URL": object_server.url,
        "S3_ACCESS_KEY": object_server.access_key,
        "S3_SECRET_KEY": object_server.secret_key,
        "BULK_WORK_DIR": str(tmp_path / "work"),
        **{f"S3_BUCKET_{use.upper()}": name for use, name in buckets.items()},
    }
    subprocess.run([BIN / "bulk-pipeline", "migrate"], env=environment, cwd=tmp_path, check=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    service = Service(
        name="dagster dev",
        command=[str(BIN / "dagster"), "dev", "--port", str(port)],
        environment=environment,
        folder=tmp_path,
        log=tmp_path / "dagster-dev.log",
        answers=lambda: serves(url),
    )

    s3_client.put_object(Bucket=buckets["uploads"], Key="customers/a.csv", Body=b"email\na@b.de\n")
    with running(service, 120):
        until(lambda: emails(empty_database_url) == ["a@b.de"], "the row in its table", seconds=120)


def serves(url: str) -> bool:
    try:
        return "version" in ask(url, "{ version }")
    except OSError:
        return False


def emails(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [email for (email,) in connection.execute("SELECT email FROM customers")]
