"""Logs of the running stack: they follow a request, and hold nothing of its file."""

import hashlib
import io
import json
from contextlib import suppress

import httpx2
import psycopg

from bulk_pipeline import stack as embedded
from bulk_pipeline.ledger.uploads import Upload
from bulk_pipeline.schema import Mode
from bulk_pipeline.stack import home as homes
from bulk_pipeline_tests.rigs.running_stack import RunningStack, csv, unique, until


def test_a_request_is_in_every_log_and_its_rows_are_in_none(world: RunningStack) -> None:
    marked, token, request_id = unique("marked"), unique("token"), unique("request")
    rows = [f"{marked}-{number}@x.co,Lund" for number in range(3)]
    content = csv("email,city", *rows, f"{marked},Lund", rows[0])
    upload = Upload(
        table="customers",
        mode=Mode.INSERT_ONLY,
        name="people.csv",
        content=io.BytesIO(content),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        scope=request_id,
        request_id=request_id,
    )
    job = world.stores.receiver.receive(upload).job
    until(lambda: world.stores.ledger.get(job.id).status.is_final, "the job has ended", seconds=120)
    run_id = str(world.stores.ledger.get(job.id).run_id)
    with suppress(psycopg.errors.UniqueViolation):  # Postgres would write down whose
        world.query("INSERT INTO customers (email) VALUES (%s) RETURNING id", f"{marked}-0@x.co")
    url = f"{embedded.status(world.home).api_url}/imports/{job.id}?token={token}"
    httpx2.get(url, headers={"Authorization": f"Bearer {token}", "X-Request-ID": request_id})
    folder = homes.at(world.home).logs
    # The API logs a request after its answer has been sent.
    until(
        lambda: f'"request_id":"{request_id}"' in (folder / "api.log").read_text(), "the line of the request"
    )
    logs = {log.name: log.read_text() for log in folder.glob("*.log")}
    lines = [
        line for line in map(json.loads, logs["api.log"].splitlines()) if line.get("request_id") == request_id
    ]
    assert [line["message"] for line in lines] == ["request"]
    assert world.ui.tags(run_id)["dagster/bulk_request_id"] == request_id
    messages = world.ui.messages(run_id)
    label = f"job {job.id} (people.csv, request {request_id})"
    assert any(message.startswith(f"{label}: 100% loaded") for message in messages)
    for secret in (marked, token):
        assert [name for name, text in logs.items() if secret in text] == []
        assert secret not in "\n".join(messages)
