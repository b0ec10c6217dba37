"""Decides whether an object that is uploaded again only repeats the last import, or must be imported.

Files of a table are applied in the order in which they arrived. The same bytes under the same key, with the same mode
and format, change nothing unless another file was applied in between:

- under the same key, in any mode: uploading the earlier file again restores its state;
- to the same table, in a mode that changes stored rows: it may have changed rows of this file.
"""

import psycopg
from psycopg.types.json import Jsonb

from bulk_pipeline.ledger.job_queries import job_query, one_job
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.upload_keys import Address
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.schema import Mode


def newest_of_object(
    connection: psycopg.Connection, upload: ListedObject, address: Address
) -> ImportJob | None:
    """Return the newest job, not skipped, with the same bytes, key, mode and format."""
    identity = {"bucket": upload.bucket, "key": upload.key, "etag": upload.etag}
    request = {"mode": address.mode, "upload_format": Jsonb(address.format.texts())}
    return one_job(connection, _NEWEST_OF_OBJECT, identity | request)


def is_tried_again(earlier: ImportJob) -> bool:
    """Return True if the same bytes may have another outcome now, whatever happened after `earlier`."""
    return earlier.status in (Status.FAILED, Status.CANCELLED, Status.COMPLETED_WITH_ERRORS)


def is_superseded(connection: psycopg.Connection, earlier: ImportJob) -> bool:
    """Return True if another file was applied, or will be, after `earlier`, so that its file must be imported again.

    Jobs that failed or were cancelled before they changed a row do not count.
    """
    changing = [mode for mode in Mode if mode.rules.updates_rows] if earlier.mode.rules.updates_rows else []
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

# The condition on `created_at` is for the index. It is the database's time, while `arrived_at` is the object store's;
# their clocks differ by less than an hour.
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
