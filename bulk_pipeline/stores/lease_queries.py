"""The SQL of leases: taking a job, giving it back, and finding runs that are silent."""

from bulk_pipeline.stores.job_queries import job_query

LOCKED_ALL = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE id = ANY (%(ids)s::uuid[])
    ORDER BY id
    FOR UPDATE
""")

HOLDERS = """
    SELECT job_id, run_id, heartbeat_at > clock_timestamp() - %(lease)s
    FROM bulk.job_leases
    WHERE job_id = ANY (%(ids)s::uuid[])
"""

RENEW = "UPDATE bulk.job_leases SET heartbeat_at = clock_timestamp() WHERE job_id = %(id)s"

BEGIN = job_query("""
    UPDATE bulk.import_jobs AS job
    SET attempt = attempt + 1,
        status = 'processing',
        run_id = %(run_id)s,
        started_at = coalesce(started_at, clock_timestamp()),
        next_attempt_at = NULL
    WHERE id = %(id)s
    RETURNING {columns}
""")

LEASE = """
    INSERT INTO bulk.job_leases (job_id, attempt, run_id, process)
    VALUES (%(id)s, %(attempt)s, %(run_id)s, %(process)s)
    ON CONFLICT (job_id) DO UPDATE
    SET attempt = excluded.attempt,
        run_id = excluded.run_id,
        process = excluded.process,
        taken_at = excluded.taken_at,
        heartbeat_at = excluded.heartbeat_at
"""

PROCESSES = "SELECT job_id, process FROM bulk.job_leases WHERE job_id = ANY (%s::uuid[])"

COUNT_CRASH = "UPDATE bulk.import_jobs SET crashes = crashes + 1 WHERE id = %s RETURNING crashes"

# An array, not a join: nobody tells the planner how few leases there are, and it would read all past jobs.
EXPIRED = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE job.id = ANY (ARRAY(
        SELECT lease.job_id
        FROM bulk.job_leases AS lease
        WHERE lease.heartbeat_at <= clock_timestamp() - %(lease)s
    ))
    ORDER BY job.arrived_at, job.id
""")

IS_SILENT = """
    SELECT coalesce(max(job.finished_at), %(since)s) < clock_timestamp() - %(older_than)s
       AND NOT EXISTS (SELECT FROM bulk.job_leases WHERE run_id = %(run_id)s)
    FROM bulk.import_jobs AS job
    WHERE (job.id = ANY (%(ids)s::uuid[]) OR job.retry_of = ANY (%(ids)s::uuid[])) AND job.run_id = %(run_id)s
"""

UNSTARTED = job_query("""
    SELECT {columns}
    FROM bulk.import_jobs AS job
    WHERE job.status IN ('pending', 'processing')
      AND job.requested_at < clock_timestamp() - %(older_than)s
      AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
    ORDER BY job.arrived_at, job.id
""")

FORGET_REQUEST = job_query("""
    UPDATE bulk.import_jobs AS job
    SET group_id = NULL,
        requested_at = NULL
    WHERE id = %(id)s
      AND group_id IS NOT DISTINCT FROM %(group_id)s::uuid
      AND status IN ('pending', 'processing')
      AND NOT EXISTS (SELECT FROM bulk.job_leases AS lease WHERE lease.job_id = job.id)
    RETURNING {columns}
""")

WAIT = job_query("""
    UPDATE bulk.import_jobs AS job
    SET next_attempt_at = clock_timestamp() + %(wait)s,
        group_id = NULL,
        requested_at = NULL,
        isolated = isolated OR %(isolate)s,
        error = %(error)s
    WHERE id = %(id)s
    RETURNING {columns}
""")

CANCEL = job_query("""
    UPDATE bulk.import_jobs AS job
    SET status = 'cancelled',
        finished_at = clock_timestamp(),
        next_attempt_at = NULL
    WHERE id = %(id)s
    RETURNING {columns}
""")

FAIL = job_query("""
    UPDATE bulk.import_jobs AS job
    SET status = 'failed',
        error = %(error)s,
        error_code = %(code)s,
        finished_at = clock_timestamp(),
        next_attempt_at = NULL
    WHERE id = %(id)s
    RETURNING {columns}
""")
