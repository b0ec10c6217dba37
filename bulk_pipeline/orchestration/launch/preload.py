"""Prepares the process from which runs are forked: imports, pandera's schemas, and boto3's description of S3.

At the time of a fork, this process must have no open connection and hold no lock. The objects that exist by then are
frozen: a garbage collection of them in a run would take 0.25 s each time, and copy the shared pages.
"""

import gc

import adbc_driver_postgresql.dbapi  # noqa: F401
import dagster_postgres  # noqa: F401
import psycopg2.extras  # noqa: F401
import pyarrow as pa
import xlsxwriter  # noqa: F401

from bulk_pipeline import tables
from bulk_pipeline.orchestration import assets, jobs, resources, sensors  # noqa: F401
from bulk_pipeline.orchestration.launch import run_logs, storage  # noqa: F401
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.parse.parsed import records_schema
from bulk_pipeline.stages.validate import validate


def rehearse() -> None:
    """Validate an empty row of every table in every mode, to build the schemas."""
    for table in tables.in_load_order():
        row = pa.RecordBatch.from_pylist([{"_row": 1, "_line": 1}], schema=records_schema(table.column_names))
        for mode in Mode:
            validate(row, none(), table, mode)
    s3.prepare()


rehearse()
gc.collect()
gc.freeze()
