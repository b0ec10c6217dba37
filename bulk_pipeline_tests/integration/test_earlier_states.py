"""An earlier state that is uploaded again is imported; a repetition of the last state is skipped."""

import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet
import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook


def csv(city: str) -> bytes:
    return f"email,city\nroll@example.com,{city}\n".encode()


def ndjson(city: str) -> bytes:
    return json.dumps({"email": "roll@example.com", "city": city}).encode() + b"\n"


def json_array(city: str) -> bytes:
    return b"[" + ndjson(city) + b"]"


def parquet(city: str) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"email": ["roll@example.com"], "city": [city]}), out)
    return out.getvalue()


def xlsx(city: str) -> bytes:
    return workbook([["email", "city"], ["roll@example.com", city]])


FORMATS = [csv, ndjson, json_array, parquet, xlsx]


@pytest.mark.parametrize("write", FORMATS)
def test_yesterdays_file_dropped_again_takes_todays_back(
    pipeline: Pipeline, write: Callable[[str], bytes]
) -> None:
    rome, oslo = write("Rome"), write("Oslo")
    for name, content in (("yesterday", rome), ("today", oslo), ("yesterday", rome)):
        job = pipeline.load(f"customers/upsert/{name}", content)
        assert job.status is Status.COMPLETED
    assert pipeline.query("SELECT email, city FROM customers") == [("roll@example.com", "Rome")]


def test_the_newest_of_three_states_under_one_key_is_what_the_table_holds(pipeline: Pipeline) -> None:
    for role in ("editor", "admin", "editor"):
        content = f"email,name,role\nroll@example.com,Roll,{role}\n".encode()
        job = pipeline.load("users/upsert/all.csv", content)
        assert job.status is Status.COMPLETED
    assert pipeline.query("SELECT email, role FROM users") == [("roll@example.com", "editor")]


def test_a_repetition_is_skipped_and_keeps_later_changes(pipeline: Pipeline) -> None:
    first = pipeline.load("customers/upsert/a.csv", csv("Rome"))
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE customers SET city = 'Bari'")
    again = pipeline.load("customers/upsert/a.csv", csv("Rome"))
    assert (again.status, again.first_job_id) == (Status.SKIPPED, first.id)
    assert pipeline.query("SELECT city FROM customers") == [("Bari",)]


def test_force_applies_a_repetition(pipeline: Pipeline) -> None:
    pipeline.load("customers/upsert/a.csv", csv("Rome"))
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("UPDATE customers SET city = 'Bari'")
    again = pipeline.load("customers/upsert/a.csv", csv("Rome"), force="true")
    assert again.status is Status.COMPLETED
    assert pipeline.query("SELECT city FROM customers") == [("Rome",)]


def test_the_same_bytes_in_another_declared_code_page_are_imported_again(pipeline: Pipeline) -> None:
    content = "email,city\nroll@example.com,Žďár\n".encode("cp1250")
    for encoding, city in (("cp1252", "Žïár"), ("cp1250", "Žďár")):
        job = pipeline.load("customers/upsert/a.csv", content, encoding=encoding)
        assert job.status is Status.COMPLETED
        assert pipeline.query("SELECT city FROM customers") == [(city,)]
