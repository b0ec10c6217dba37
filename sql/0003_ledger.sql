-- The ledger: what was asked for, what became of it, and which rows are already in.

-- One import of one drop: an object as it lay in the inbox at one time. The row is the truth about the job; a
-- Dagster run only shows it.
CREATE TABLE bulk.import_jobs (
    id                  uuid PRIMARY KEY,
    table_name          text NOT NULL,      -- as it was written, even if there is no such table
    mode                text NOT NULL CHECK (mode IN ('insert_only', 'upsert')),
    status              text NOT NULL DEFAULT 'pending' CHECK (status IN (
                            'pending', 'processing', 'completed', 'completed_with_errors',
                            'failed', 'cancelled', 'skipped')),
    -- the drop
    bucket              text NOT NULL,
    key                 text NOT NULL,
    etag                text NOT NULL,
    size_bytes          bigint NOT NULL,
    arrived_at          timestamptz NOT NULL,   -- by the object store's clock; of a retry: when it was asked for
    encoding            text,                   -- declared by whoever dropped it
    idempotency_key     text,
    -- its bytes, out of everybody's reach
    archive_key         text,                   -- NULL: they were gone before they could be copied
    claimed_at          timestamptz,            -- NULL: the copy is not known to be there yet
    sha256              text,
    -- other jobs of the same object
    first_job_id        uuid REFERENCES bulk.import_jobs (id),  -- skipped: the job that does the work
    retry_of            uuid REFERENCES bulk.import_jobs (id),  -- another try at what this finished job did
    -- work: who has it, and when it may be taken
    attempt             integer NOT NULL DEFAULT 0,     -- fences: only the newest attempt may write
    group_id            uuid,                           -- jobs that share a run
    isolated            boolean NOT NULL DEFAULT false, -- shares a run with nobody
    run_id              text,
    requested_at        timestamptz,                    -- when a run was asked for; NULL: ask
    next_attempt_at     timestamptz,
    cancel_requested_at timestamptz,
    -- fixed at the first attempt, so that every attempt cuts the file alike
    batch_rows          integer,
    parser_version      text,
    -- what was found
    columns             text[],
    dialect             jsonb,
    warnings            jsonb NOT NULL DEFAULT '[]',
    total_rows          bigint,                 -- known once the whole file is parsed
    failure_counts      jsonb NOT NULL DEFAULT '{}',    -- failure code -> failures
    reports             jsonb NOT NULL DEFAULT '{}',    -- report name -> object key
    error               text,                   -- why it failed, or why its last attempt broke off
    error_code          text,                   -- the kind of a file-level problem
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at          timestamptz,
    finished_at         timestamptz,
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((finished_at IS NOT NULL) = (status NOT IN ('pending', 'processing')))
);
-- One drop is one job, whoever claims it and however often. Also finds the jobs of an object.
CREATE UNIQUE INDEX import_jobs_drop ON bulk.import_jobs (bucket, key, etag, mode, arrived_at);
CREATE INDEX import_jobs_unclaimed ON bulk.import_jobs (bucket, key) WHERE claimed_at IS NULL;
CREATE INDEX import_jobs_open ON bulk.import_jobs (arrived_at, id) WHERE status IN ('pending', 'processing');
CREATE INDEX import_jobs_group ON bulk.import_jobs (group_id) WHERE status IN ('pending', 'processing');
CREATE INDEX import_jobs_newest ON bulk.import_jobs (created_at DESC, id DESC);
CREATE INDEX import_jobs_newest_of_table ON bulk.import_jobs (table_name, created_at DESC, id DESC);
CREATE INDEX import_jobs_newest_of_status ON bulk.import_jobs (status, created_at DESC, id DESC);
CREATE INDEX import_jobs_sha256 ON bulk.import_jobs (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX import_jobs_idempotency_key ON bulk.import_jobs (table_name, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX import_jobs_first_job_id ON bulk.import_jobs (first_job_id) WHERE first_job_id IS NOT NULL;
CREATE INDEX import_jobs_retry_of ON bulk.import_jobs (retry_of) WHERE retry_of IS NOT NULL;

CREATE FUNCTION bulk.touch() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON bulk.import_jobs FOR EACH ROW EXECUTE FUNCTION bulk.touch();

-- Ranges of source rows that are settled. Written in the transaction that writes the rows: a range is in, whole, or not.
CREATE TABLE bulk.import_batches (
    job_id        uuid NOT NULL REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    first_row     bigint NOT NULL,
    last_row      bigint NOT NULL,
    attempt       integer NOT NULL,
    inserted      bigint NOT NULL,
    updated       bigint NOT NULL,
    unchanged     bigint NOT NULL,
    superseded    bigint NOT NULL,
    rejected      bigint NOT NULL,          -- every rejected row of the range, whatever found it
    load_failures bytea,                    -- failures the database found: an Arrow IPC stream
    committed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, first_row),
    CHECK (last_row >= first_row),
    CHECK (inserted + updated + unchanged + superseded + rejected = last_row - first_row + 1)
);

-- Who works on a job. Apart from import_jobs, so that a heartbeat never waits for a batch.
CREATE TABLE bulk.job_leases (
    job_id       uuid PRIMARY KEY REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    attempt      integer NOT NULL,
    run_id       text NOT NULL,
    taken_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One export of one table.
CREATE TABLE bulk.export_jobs (
    id          uuid PRIMARY KEY,
    table_name  text NOT NULL,
    format      text NOT NULL,
    status      text NOT NULL DEFAULT 'pending' CHECK (status IN (
                    'pending', 'processing', 'completed', 'failed', 'cancelled')),
    total_rows  bigint,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

CREATE VIEW bulk.import_job_counts AS
SELECT
    job.id AS job_id,
    coalesce(sum(batch.inserted), 0)::bigint AS inserted,
    coalesce(sum(batch.updated), 0)::bigint AS updated,
    coalesce(sum(batch.unchanged), 0)::bigint AS unchanged,
    coalesce(sum(batch.superseded), 0)::bigint AS superseded,
    coalesce(sum(batch.rejected), 0)::bigint AS rejected,
    coalesce(sum(batch.last_row - batch.first_row + 1), 0)::bigint AS processed
FROM bulk.import_jobs AS job
LEFT JOIN bulk.import_batches AS batch ON batch.job_id = job.id
GROUP BY job.id;
COMMENT ON VIEW bulk.import_job_counts IS 'Rows settled so far, per job: the sum over its committed ranges.';
