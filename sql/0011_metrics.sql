-- What /metrics shows. A scrape must not read all past jobs, and what retention removes has happened all the same: so
-- totals over all history are kept, by triggers, in the transaction in which a job becomes final.

-- Seconds up to which durations are counted together: the buckets of a histogram, before the last, which has no bound.
CREATE FUNCTION bulk.duration_bounds() RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT ARRAY[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]::double precision[] $$;

CREATE FUNCTION bulk.duration_bucket(seconds double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT coalesce(min(bound)::text, 'more') FROM unnest(bulk.duration_bounds()) AS bound WHERE seconds <= bound $$;

-- NULL if one of them is; never below zero, whatever clocks do.
CREATE FUNCTION bulk.seconds_between(earlier timestamptz, later timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN later >= earlier THEN extract(epoch FROM later - earlier) WHEN later < earlier THEN 0 END $$;

-- `committed_at` is when the batch's transaction began; what lies between the two is the time that the batch took.
ALTER TABLE bulk.import_batches ADD recorded_at timestamptz;    -- NULL: from before it was noted
ALTER TABLE bulk.import_batches ALTER recorded_at SET DEFAULT clock_timestamp();
CREATE INDEX import_batches_recorded_at ON bulk.import_batches (recorded_at);

-- Uploads may name tables that do not exist: such names are not kept.
CREATE FUNCTION bulk.tally_table(table_name text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pg_class WHERE relname = table_name AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    ) THEN table_name ELSE 'unknown' END
$$;

-- What each job adds to the totals; of an open one, its batches only. `label`: the status, result, failure code, or
-- the bucket of a duration, whose sum has the label sum.
CREATE VIEW bulk.import_tallies AS
SELECT job.id AS job_id, found.what, found.label, found.amount
FROM bulk.import_jobs AS job
CROSS JOIN LATERAL (
    SELECT 'import_jobs' AS what, job.status AS label, 1::double precision AS amount
    WHERE job.finished_at IS NOT NULL
    UNION ALL
    SELECT 'failures', code, count::text::double precision
    FROM jsonb_each(job.failure_counts) AS counted (code, count)
    UNION ALL
    SELECT 'import_seconds', timed.label, timed.amount
    FROM (SELECT bulk.seconds_between(job.started_at, job.finished_at)) AS work (seconds)
    CROSS JOIN LATERAL (VALUES (bulk.duration_bucket(seconds), 1), ('sum', seconds)) AS timed (label, amount)
    WHERE seconds IS NOT NULL
    UNION ALL
    SELECT 'rows', settled.label, sum(settled.amount)
    FROM bulk.import_batches AS batch
    CROSS JOIN LATERAL (VALUES
        ('inserted', inserted), ('updated', updated), ('unchanged', unchanged), ('superseded', superseded),
        ('rejected', rejected)
    ) AS settled (label, amount)
    WHERE batch.job_id = job.id
    GROUP BY settled.label
    UNION ALL
    SELECT 'batch_seconds', timed.label, sum(timed.amount)
    FROM bulk.import_batches AS batch
    CROSS JOIN LATERAL (SELECT bulk.seconds_between(committed_at, recorded_at)) AS work (seconds)
    CROSS JOIN LATERAL (VALUES (bulk.duration_bucket(seconds), 1), ('sum', seconds)) AS timed (label, amount)
    WHERE batch.job_id = job.id AND seconds IS NOT NULL
    GROUP BY timed.label
) AS found;

CREATE VIEW bulk.export_tallies AS
SELECT job.id AS job_id, found.what, found.label, found.amount
FROM bulk.export_jobs AS job
CROSS JOIN LATERAL (
    SELECT 'export_jobs' AS what, job.status AS label, 1::double precision AS amount
    UNION ALL
    SELECT 'export_rows', '', total_rows WHERE total_rows IS NOT NULL
    UNION ALL
    SELECT 'export_seconds', timed.label, timed.amount
    FROM (SELECT bulk.seconds_between(job.started_at, job.finished_at)) AS work (seconds)
    CROSS JOIN LATERAL (VALUES (bulk.duration_bucket(seconds), 1), ('sum', seconds)) AS timed (label, amount)
    WHERE seconds IS NOT NULL
) AS found
WHERE job.finished_at IS NOT NULL;

-- A total is the sum over its slots: jobs that end at the same moment do not wait for each other's commit.
CREATE TABLE bulk.tallies (
    what       text NOT NULL,
    table_name text NOT NULL,
    label      text NOT NULL,
    slot       integer NOT NULL,
    total      double precision NOT NULL,
    PRIMARY KEY (what, table_name, label, slot)
) WITH (fillfactor = 50);

-- Sorted, so that two jobs never wait for each other.
CREATE FUNCTION bulk.tally() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    own_table text := bulk.tally_table(NEW.table_name);
BEGIN
    IF TG_TABLE_NAME = 'import_jobs' THEN
        INSERT INTO bulk.tallies AS kept
        SELECT what, own_table, label, pg_backend_pid() % 8, amount
        FROM bulk.import_tallies
        WHERE job_id = NEW.id AND amount <> 0
        ORDER BY what, label
        ON CONFLICT (what, table_name, label, slot) DO UPDATE SET total = kept.total + excluded.total;
    ELSE
        INSERT INTO bulk.tallies AS kept
        SELECT what, own_table, label, pg_backend_pid() % 8, amount
        FROM bulk.export_tallies
        WHERE job_id = NEW.id AND amount <> 0
        ORDER BY what, label
        ON CONFLICT (what, table_name, label, slot) DO UPDATE SET total = kept.total + excluded.total;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER tally_new AFTER INSERT ON bulk.import_jobs
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION bulk.tally();
CREATE TRIGGER tally_finished AFTER UPDATE ON bulk.import_jobs
    FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION bulk.tally();
CREATE TRIGGER tally_new AFTER INSERT ON bulk.export_jobs
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION bulk.tally();
CREATE TRIGGER tally_finished AFTER UPDATE ON bulk.export_jobs
    FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION bulk.tally();

INSERT INTO bulk.tallies
SELECT what, bulk.tally_table(table_name), label, 0, sum(amount)
FROM (
    SELECT job.table_name, found.what, found.label, found.amount
    FROM bulk.import_jobs AS job
    JOIN bulk.import_tallies AS found ON found.job_id = job.id
    WHERE job.finished_at IS NOT NULL
    UNION ALL
    SELECT job.table_name, found.what, found.label, found.amount
    FROM bulk.export_jobs AS job
    JOIN bulk.export_tallies AS found ON found.job_id = job.id
) AS past
GROUP BY what, bulk.tally_table(table_name), label;

-- In one statement, so that a job that ends in the meantime is counted once.
CREATE VIEW bulk.totals AS
SELECT what, table_name, label, sum(total) AS total
FROM (
    SELECT what, table_name, label, total FROM bulk.tallies
    UNION ALL
    SELECT found.what, bulk.tally_table(job.table_name), found.label, found.amount
    FROM bulk.import_jobs AS job
    CROSS JOIN LATERAL (SELECT what, label, amount FROM bulk.import_tallies WHERE job_id = job.id) AS found
    WHERE job.status = 'processing'   -- those that are pending have no batches
) AS every
GROUP BY what, table_name, label;
COMMENT ON VIEW bulk.totals IS 'What became of all jobs and rows ever, whether or not the ledger still has them.';

-- When each table was last exported.
CREATE INDEX export_jobs_last_full ON bulk.export_jobs (table_name, finished_at)
    WHERE kind = 'full' AND manifest IS NOT NULL;
