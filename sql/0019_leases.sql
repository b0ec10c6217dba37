-- Leases on exports are rows of bulk.job_leases, as those on imports are, and no longer a column of the job.

ALTER TABLE bulk.job_leases
    DROP CONSTRAINT job_leases_job_id_fkey,
    ADD kind text NOT NULL DEFAULT 'import' CHECK (kind IN ('import', 'export'));

-- A lease goes with its job, of whichever kind.
ALTER TABLE bulk.job_leases
    ADD import_id uuid GENERATED ALWAYS AS (CASE kind WHEN 'import' THEN job_id END) STORED
        REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    ADD export_id uuid GENERATED ALWAYS AS (CASE kind WHEN 'export' THEN job_id END) STORED
        REFERENCES bulk.export_jobs (id) ON DELETE CASCADE;

INSERT INTO bulk.job_leases (job_id, kind, attempt, run_id, taken_at, heartbeat_at)
SELECT id, 'export', attempt, coalesce(run_id, ''), heartbeat_at, heartbeat_at
FROM bulk.export_jobs
WHERE status = 'processing' AND heartbeat_at IS NOT NULL;

ALTER TABLE bulk.export_jobs DROP heartbeat_at;
