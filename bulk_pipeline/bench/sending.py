"""Sends one file to a stack: into the bucket, by HTTP, or by the command line."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import httpx2

from bulk_pipeline.bench.choices import By
from bulk_pipeline.bench.harness import Rig, without_servers
from bulk_pipeline.errors import StackError, WrongResultError
from bulk_pipeline.ledger.jobs import ImportJob

_ANSWER_SECONDS = 600.0


@dataclass(frozen=True)
class Sent:
    """A file that was sent, and the times of the start of sending and, for a command, of its exit.

    `job_id` or, if the sender is not told it, `key` in the bucket for uploads names its job.
    """

    name: str
    began_at: datetime
    left_at: datetime | None = None
    key: str | None = None
    job_id: str | None = None

    def find(self, rig: Rig) -> ImportJob | None:
        """Return the job, None while the upload has not been claimed."""
        if self.job_id is not None:
            return rig.stores.ledger.get(self.job_id)
        return rig.stores.ledger.newest_of_object(rig.stores.settings.s3_bucket_uploads, str(self.key))


def send(rig: Rig, by: By, table: str, file: Path) -> Sent:
    """Send a file. Raises `StackError` if the command fails, and `WrongResultError` if the API refuses the file."""
    match by:
        case By.BUCKET:
            return _by_bucket(rig, table, file)
        case By.POST:
            return _by_post(rig, table, file)
        case By.CLI:
            return _by_cli(rig, table, file)
        case other:
            assert_never(other)


def post(client: httpx2.Client, table: str, file: Path) -> str:
    """Send a file over HTTP, and return the id of its job. Raises `WrongResultError` if it is refused."""
    with file.open("rb") as content:
        answer = client.post(
            "/api/v1/imports",
            data={"resource_type": table, "mode": "insert"},
            files={"file": (file.name, content)},
        )
    if answer.status_code != 202:
        raise WrongResultError(f"{answer.request.url}: {answer.status_code} {answer.text[:300]}")
    return answer.json()["id"]


def _by_bucket(rig: Rig, table: str, file: Path) -> Sent:
    key, content, began_at = f"{table}/{file.name}", file.read_bytes(), datetime.now(UTC)
    rig.stores.objects.put(rig.stores.settings.s3_bucket_uploads, key, content)
    return Sent(file.name, began_at, key=key)


def _by_post(rig: Rig, table: str, file: Path) -> Sent:
    with httpx2.Client(base_url=rig.api_url, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        began_at = datetime.now(UTC)
        return Sent(file.name, began_at, job_id=post(client, table, file))


def _by_cli(rig: Rig, table: str, file: Path) -> Sent:
    """Run `bulk-pipeline import`, from its start to its exit."""
    program = Path(sys.executable).with_name("bulk-pipeline")
    environ = without_servers(os.environ) | {"BULK_HOME": str(rig.home)}
    began_at = datetime.now(UTC)
    done = subprocess.run(
        [program, "import", file, "--table", table, "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    left_at = datetime.now(UTC)
    if done.returncode:
        raise StackError(f"bulk-pipeline import: exit status {done.returncode}: {done.stderr.strip()}")
    (document,) = json.loads(done.stdout)
    return Sent(file.name, began_at, left_at, key=document["key"])
