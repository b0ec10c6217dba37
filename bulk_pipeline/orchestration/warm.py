"""What a run needs before its first row, done beforehand, in the process that runs are forked from.

Imports, and what libraries keep for the next call: pandera its schemas, boto3 its description of S3. No connection
and no lock may be there when a run is forked. What is there by then is no garbage in a run: looking through it takes
0.25 s each time, and copies the pages that are shared.
"""

import gc

import adbc_driver_postgresql.dbapi  # noqa: F401
import dagster_postgres  # noqa: F401
import pyarrow as pa

from bulk_pipeline import tables
from bulk_pipeline.orchestration import assets, jobs, resources, sensors  # noqa: F401
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.failures import none
from bulk_pipeline.stages.parse.parsed import records_schema
from bulk_pipeline.stages.validate import validate
from bulk_pipeline.stores import s3


def rehearse() -> None:
    """Validate an empty row of every table, in every mode."""
    for table in tables.in_load_order():
        row = pa.RecordBatch.from_pylist([{"_row": 1, "_line": 1}], schema=records_schema(table.column_names))
        for mode in Mode:
            validate(row, none(), table, mode)
    s3.prepare()


rehearse()
gc.collect()
gc.freeze()
