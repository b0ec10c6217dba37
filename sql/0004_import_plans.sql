-- What the search before an upsert decided about rows of the file that depend on each other (ids and natural keys
-- that change hands). Kept before the first batch is committed, so that a resumed job decides alike. Most jobs have none.
CREATE TABLE bulk.import_plans (
    job_id     uuid NOT NULL REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    part       integer NOT NULL,
    decisions  bytea NOT NULL,              -- an Arrow IPC stream
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, part)
);
