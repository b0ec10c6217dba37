"""The state after all jobs have finished: ledger, tables, buckets, work area. Read with plain psycopg and boto3.

This and `checker` share no code with the package: an error of its own must not hide itself.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "customers": (("id",), ("email",)),
    "users": (("id",), ("email",)),
    "articles": (("id",), ("slug",)),
    "comments": (("id",),),
    "orders": (("id",), ("order_no",)),
    "order_lines": (("order_id", "line_no"),),
}
"""The keys of each table, the primary key first."""
TABLES = tuple(KEYS)
_BUCKETS = ("uploads", "archive", "reports", "exports")
_TEMPORARY = """
    SELECT relnamespace::regnamespace || '.' || relname AS name
    FROM pg_class
    WHERE relkind IN ('r', 'p') AND relpersistence <> 'p'
       OR relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL (%s)
"""


@dataclass(frozen=True)
class Drop:
    """A dropped file, and its expected result. `codes`: failures by code, without `already_exists`.

    `bad_every`: each so many-th row has a defect, and no other row. `is_acknowledged`: the store has said that it
    has the file; else it may have it or not.
    """

    key: str
    table: str
    mode: str
    content: bytes
    rows: int
    codes: dict[str, int]
    bad_every: int
    is_acknowledged: bool = True


@dataclass(frozen=True)
class Places:
    """Direct connections, without the proxies, and the tables to look at. `s3` is a boto3 client."""

    database_url: str
    s3: Any
    work: Path
    tables: tuple[str, ...] = TABLES


@dataclass(frozen=True)
class Evidence:
    """Rows of the ledger and the tables as dictionaries; bucket → key → bytes; names of leftovers."""

    jobs: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    exports: list[dict[str, Any]]
    tables: dict[str, list[dict[str, Any]]]
    objects: dict[str, dict[str, bytes]]
    leases: int
    left_over: list[str]

    @cached_property
    def batches_by_job(self) -> dict[Any, list[dict[str, Any]]]:
        found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for batch in self.batches:
            found[batch["job_id"]].append(batch)
        return found

    @cached_property
    def reports_by_job(self) -> dict[str, set[str]]:
        """The keys of the reports by folder."""
        found: dict[str, set[str]] = defaultdict(set)
        for key in self.objects["reports"]:
            found[key.split("/")[0]].add(key)
        return found

    def jobs_of(self, table: str) -> list[dict[str, Any]]:
        return [job for job in self.jobs if job["table_name"] == table]


def read(places: Places) -> Evidence:
    with (
        psycopg.connect(places.database_url) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):

        def rows(query: str, *given: object) -> list[dict[str, Any]]:
            return cursor.execute(query.encode(), given or None).fetchall()

        return Evidence(
            jobs=rows("SELECT * FROM bulk.import_jobs ORDER BY arrived_at, id"),
            batches=rows("SELECT * FROM bulk.import_batches ORDER BY job_id, first_row"),
            exports=rows("SELECT * FROM bulk.export_jobs ORDER BY id"),
            tables={table: rows(f"SELECT * FROM public.{table}") for table in places.tables},
            objects={bucket: _objects(places.s3, bucket) for bucket in _BUCKETS},
            leases=len(rows("SELECT FROM bulk.job_leases")),
            left_over=[
                *(f"table {row['name']}" for row in rows(_TEMPORARY, list(places.tables))),
                *(f"upload of parts to {name}" for name in _uploads(places.s3)),
                *(f"work file {file}" for file in places.work.rglob("*") if file.is_file()),
            ],
        )


def _objects(s3: Any, bucket: str) -> dict[str, bytes]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys if key[-1] != "/"}


def _uploads(s3: Any) -> list[str]:
    return [
        f"{bucket}/{upload['Key']}"
        for bucket in _BUCKETS
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    ]
