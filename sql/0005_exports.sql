-- Exports: all that is asked of one, who works on it, how far it is, what came of it; and rows that are gone.

-- An export that is processing is held by `run_id` for as long as `heartbeat_at` is young; the heartbeat brings the
-- progress along. Nothing locks the row for long, so it needs no table of its own, unlike that of an import.
ALTER TABLE bulk.export_jobs
    -- what is asked for
    ADD kind                text NOT NULL DEFAULT 'full' CHECK (kind IN ('full', 'incremental')),
    ADD compression         text NOT NULL DEFAULT 'none' CHECK (compression IN ('none', 'gzip', 'zstd')),
    ADD columns             text[] NOT NULL DEFAULT '{}',   -- empty: all
    ADD filters             text[] NOT NULL DEFAULT '{}',
    ADD sort_order          text[] NOT NULL DEFAULT '{}',   -- empty: by primary key
    ADD for_spreadsheets    boolean NOT NULL DEFAULT false,
    ADD rows_per_part       bigint NOT NULL DEFAULT 1000000 CHECK (rows_per_part > 0),
    ADD prefix              text NOT NULL DEFAULT '',       -- before <table>/… in the bucket
    ADD partition_date      date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,     -- the dt= of its folder
    ADD requested_by        text,
    ADD idempotency_key     text,
    ADD expires_at          timestamptz,                    -- begun by then, or not at all
    -- work
    ADD attempt             integer NOT NULL DEFAULT 0,     -- fences: only the newest attempt may write
    ADD run_id              text,
    ADD heartbeat_at        timestamptz,                    -- NULL: nobody has it
    ADD requested_at        timestamptz,                    -- when a run was asked for; NULL: ask
    ADD next_attempt_at     timestamptz,
    ADD cancel_requested_at timestamptz,
    -- progress, and what came of it
    ADD rows_written        bigint NOT NULL DEFAULT 0,
    ADD bytes_written       bigint NOT NULL DEFAULT 0,
    ADD manifest            jsonb,                          -- as it lies beside the parts; kept when these go
    ADD started_at          timestamptz,
    ADD updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    ALTER id SET DEFAULT bulk.uuid_v7(),
    ADD CHECK (format IN ('csv', 'ndjson', 'parquet')),
    DROP CONSTRAINT export_jobs_status_check,
    ADD CONSTRAINT export_jobs_status_check CHECK (status IN (
        'pending', 'processing', 'completed', 'failed', 'cancelled',
        'expired')),    -- not begun in time; or its files, whose time was over, are removed
    ADD CHECK ((finished_at IS NOT NULL) = (status NOT IN ('pending', 'processing')));

CREATE TRIGGER touch BEFORE UPDATE ON bulk.export_jobs FOR EACH ROW EXECUTE FUNCTION bulk.touch();

-- The same request twice is one job, unless nothing came of the first.
CREATE UNIQUE INDEX export_jobs_idempotency_key ON bulk.export_jobs (table_name, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND status NOT IN ('failed', 'cancelled', 'expired');
CREATE INDEX export_jobs_open ON bulk.export_jobs (created_at, id) WHERE status IN ('pending', 'processing');
CREATE INDEX export_jobs_newest ON bulk.export_jobs (created_at DESC, id DESC);
CREATE INDEX export_jobs_newest_of_table ON bulk.export_jobs (table_name, created_at DESC, id DESC);

-- Ids of rows that are gone, of the tables that say so, for incremental exports.
CREATE TABLE bulk.deleted_rows (
    table_name text NOT NULL,
    row_id     uuid NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX deleted_rows_of_table ON bulk.deleted_rows (table_name, row_id);

CREATE FUNCTION bulk.note_deleted_rows() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO bulk.deleted_rows (table_name, row_id)
    SELECT TG_TABLE_NAME, gone.id FROM gone;
    RETURN NULL;
END
$$;

CREATE FUNCTION bulk.record_deletions(table_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER record_deletions AFTER DELETE ON public.%I REFERENCING OLD TABLE AS gone '
        'FOR EACH STATEMENT EXECUTE FUNCTION bulk.note_deleted_rows()',
        table_name);
END
$$;
COMMENT ON FUNCTION bulk.record_deletions IS
    'Switch it on for a table: SELECT bulk.record_deletions(''users''). Off: DROP TRIGGER record_deletions ON users.';
