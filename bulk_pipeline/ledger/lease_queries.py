"""The SQL of leases: taking, renewing and returning jobs, and finding silent runs.

The queries of imports and exports differ only in columns that one of the tables lacks.
"""

from functools import partial
from typing import Generic, LiteralString

from bulk_pipeline.ledger.export_jobs import EXPORTS
from bulk_pipeline.ledger.job_queries import IMPORTS
from bulk_pipeline.ledger.job_table import J, JobTable

HOLDERS = """
    SELECT job_id, run_id, heartbeat_at > clock_timestamp() - %(lease)s
    FROM bulk.job_leases
    WHERE job_id = ANY (%(ids)s::uuid[])
"""

LEASE = """
    INSERT INTO bulk.job_leases (job_id, kind, attempt, run_id, process)
    VALUES (%(id)s, %(kind)s, %(attempt)s, %(run_id)s, %(process)s)
    ON CONFLICT (job_id) DO UPDATE
    SET attempt = excluded.attempt,
        run_id = excluded.run_id,
        process = excluded.process,
        taken_at = excluded.taken_at,
        heartbeat_at = excluded.heartbeat_at
"""

TOUCH = "UPDATE bulk.job_leases SET heartbeat_at = clock_timestamp() WHERE job_id = %(id)s"

RENEW = """
    UPDATE bulk.job_leases AS lease
    SET heartbeat_at = clock_timestamp()
    FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(run_ids)s::text[])
        AS held (job_id, attempt, run_id)
    WHERE (lease.job_id, lease.attempt, lease.run_id) = (held.job_id, held.attempt, held.run_id)
    RETURNING lease.job_id
"""

END = "DELETE FROM bulk.job_leases WHERE job_id = %(id)s"

PROCESSES = "SELECT job_id, process FROM bulk.job_leases WHERE job_id = ANY (%(ids)s::uuid[])"

COUNT_CRASH = "UPDATE bulk.import_jobs SET crashes = crashes + 1 WHERE id = %(id)s RETURNING crashes"

HAS_COMMITTED = "SELECT EXISTS (SELECT FROM bulk.import_batches WHERE job_id = %(id)s)"


class LeaseQueries(Generic[J]):
    """The queries on the table of one kind of job.

    `arrival` is the column by which jobs are ordered. `on_begin`, `on_wait`, `on_forget` and `on_fail` assign columns
    that the other kind lacks. `of_run` is a condition that lets `is_silent` use an index. With `run_resumes`, a run
    that takes a job it already holds continues its attempt; otherwise it begins another one.
    """

    def __init__(
        self,
        jobs: JobTable[J],
        *,
        arrival: LiteralString,
        on_begin: LiteralString = "",
        on_wait: LiteralString = "",
        on_forget: LiteralString = "",
        on_fail: LiteralString = "",
        of_run: LiteralString = "",
        run_resumes: bool = False,
    ) -> None:
        self.jobs = jobs
        self.run_resumes = run_resumes
        query = partial(
            jobs.query,
            arrival=arrival,
            on_begin=on_begin,
            on_wait=on_wait,
            on_forget=on_forget,
            on_fail=on_fail,
            of_run=of_run,
        )

        self.locked_all = query("""
            SELECT {columns}
            FROM {jobs} AS job
            WHERE id = ANY (%(ids)s::uuid[])
            ORDER BY id
            FOR UPDATE
        """)

        self.begin = query("""
            UPDATE {jobs} AS job
            SET {on_begin}
                attempt = attempt + 1,
                status = 'processing',
                run_id = %(run_id)s,
                started_at = coalesce(started_at, clock_timestamp()),
                next_attempt_at = NULL
            WHERE id = %(id)s
            RETURNING {columns}
        """)

        self.news = query("""
            SELECT id, attempt, status NOT IN ('pending', 'processing'), cancel_requested_at IS NOT NULL
            FROM {jobs}
            WHERE id = ANY (%(ids)s::uuid[])
        """)

        # An array instead of a join: the planner overestimates the number of leases, and would read all past jobs.
        self.expired = query("""
            SELECT {columns}
            FROM {jobs} AS job
            WHERE job.id = ANY (ARRAY(
                SELECT lease.job_id
                FROM bulk.job_leases AS lease
                WHERE lease.heartbeat_at <= clock_timestamp() - %(lease)s
            ))
            ORDER BY job.{arrival}, job.id
        """)

        self.is_silent = query("""
            SELECT greatest(%(since)s, max(job.updated_at)) <= clock_timestamp() - %(older_than)s
               AND NOT EXISTS (SELECT FROM bulk.job_leases WHERE run_id = %(run_id)s)
            FROM {jobs} AS job
            WHERE {of_run} job.run_id = %(run_id)s
        """)

        self.overdue = query("""
            SELECT {columns}
            FROM {jobs} AS job
            WHERE job.status IN ('pending', 'processing')
              AND job.requested_at < clock_timestamp() - %(older_than)s
              AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
            ORDER BY job.{arrival}, job.id
        """)

        self.forget_request = query("""
            UPDATE {jobs} AS job
            SET {on_forget}
                requested_at = NULL
            WHERE id = %(id)s
              AND requested_at = %(requested_at)s
              AND status IN ('pending', 'processing')
              AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
            RETURNING {columns}
        """)

        self.wait = query("""
            UPDATE {jobs} AS job
            SET {on_wait}
                next_attempt_at = clock_timestamp() + %(wait)s,
                requested_at = NULL,
                error = %(error)s
            WHERE id = %(id)s
            RETURNING {columns}
        """)

        self.ask_to_cancel = query("""
            UPDATE {jobs} AS job
            SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
            WHERE id = %(id)s
            RETURNING {columns}
        """)

        self.cancel = query("""
            UPDATE {jobs} AS job
            SET status = 'cancelled',
                cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
                finished_at = clock_timestamp(),
                next_attempt_at = NULL
            WHERE id = %(id)s
            RETURNING {columns}
        """)

        self.fail = query("""
            UPDATE {jobs} AS job
            SET {on_fail}
                status = 'failed',
                error = %(error)s,
                finished_at = clock_timestamp(),
                next_attempt_at = NULL
            WHERE id = %(id)s
            RETURNING {columns}
        """)


IMPORT_QUERIES = LeaseQueries(
    IMPORTS,
    arrival="arrived_at",
    on_wait="group_id = NULL, isolated = isolated OR %(isolate)s,",
    on_forget="group_id = NULL,",
    on_fail="error_code = %(code)s,",
    of_run="(job.id = ANY (%(ids)s::uuid[]) OR job.retry_of = ANY (%(ids)s::uuid[])) AND",
    run_resumes=True,
)
EXPORT_QUERIES = LeaseQueries(EXPORTS, arrival="created_at", on_begin="rows_written = 0, bytes_written = 0,")
