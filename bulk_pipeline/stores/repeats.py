"""Decides whether an object that is dropped again would repeat what was applied last, or is work.

Files of one table are applied in the order in which they arrived. The same bytes under the same key, in the same mode
and declared alike, change nothing as long as nothing else was applied in between:

- to the same key, in any mode: what lay there before is an earlier state, and dropping it again takes it back;
- in a mode that changes stored rows, to the same table: another file may have changed rows that this one has too.
"""

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.schema import Mode
from bulk_pipeline.stores.addresses import Address
from bulk_pipeline.stores.found_objects import FoundObject
from bulk_pipeline.stores.job_queries import job_query, one_job
from bulk_pipeline.stores.jobs import ImportJob


def newest_of_object(connection: psycopg.Connection, found: FoundObject, asked: Address) -> ImportJob | None:
    """The newest job that worked, or will work, on the same bytes under the same key, asked for alike."""
    identity = {"bucket": found.bucket, "key": found.key, "etag": found.etag}
    request = {"mode": asked.mode, "upload_format": Jsonb(asked.format.texts())}
    return one_job(connection, _NEWEST_OF_OBJECT, identity | request)


def is_superseded(connection: psycopg.Connection, earlier: ImportJob) -> bool:
    """Whether something else was applied, or will be, after `earlier`, so that its file is no repetition of the last.

    Jobs that came to nothing do not count: they failed, or were cancelled, before they changed a row.
    """
    changing = [mode for mode in Mode if mode.updates_rows] if earlier.mode.updates_rows else []
    later = {
        "id": earlier.id,
        "arrived_at": earlier.arrived_at,
        "bucket": earlier.bucket,
        "key": earlier.key,
        "table": earlier.table,
        "changing": changing,
    }
    return connection.execute(_IS_SUPERSEDED, later).fetchone() == (True,)


_NEWEST_OF_OBJECT = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE bucket = %(bucket)s AND key = %(key)s AND etag = %(etag)s AND mode = %(mode)s
      AND upload_format = %(upload_format)s
      AND status <> 'skipped'
    ORDER BY created_at DESC, id DESC
    LIMIT 1
""")

# `created_at` is there for the index. It is the database's time and `arrived_at` the object store's: an hour is more
# than their clocks differ.
_IS_SUPERSEDED = """
    SELECT EXISTS (
        SELECT
        FROM bulk.import_jobs AS job
        WHERE table_name = %(table)s
          AND created_at > %(arrived_at)s - interval '1 hour'
          AND (arrived_at, id) > (%(arrived_at)s, %(id)s::uuid)
          AND ((bucket, key) = (%(bucket)s, %(key)s) OR mode = ANY (%(changing)s))
          AND (
              status IN ('pending', 'processing', 'completed', 'completed_with_errors')
              OR (status IN ('failed', 'cancelled') AND EXISTS (
                  SELECT
                  FROM bulk.import_batches AS batch
                  WHERE batch.job_id = job.id AND batch.inserted + batch.updated > 0
              ))
          )
    )
"""
