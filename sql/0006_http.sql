-- The HTTP API: who may ask, and how a request is told from its repetition.
CREATE TABLE bulk.accounts (
    id            uuid PRIMARY KEY DEFAULT bulk.uuid_v7(),
    email         text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash text NOT NULL,                -- argon2id, with its salt and costs
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the API counts to slow down whoever guesses passwords; also for addresses that have no account.
CREATE TABLE bulk.login_failures (
    email     text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX login_failures_recent ON bulk.login_failures (email, failed_at);

-- A job that came over HTTP has its row first, then its bytes in the archive, then `claimed_at`. If these never come,
-- its `archive_key` goes, and the idempotency key is free again.
ALTER TABLE bulk.import_jobs
    ADD scope       text,       -- within which an idempotency key is one request; NULL: not over HTTP
    ADD owner_id    uuid REFERENCES bulk.accounts (id),
    ADD upload_name text,       -- the file's name as the client gave it
    ADD fingerprint text,       -- of what was asked for and of the bytes; another one with the same key is refused
    ADD request_id  text;       -- the X-Request-ID it came with

CREATE UNIQUE INDEX import_jobs_request ON bulk.import_jobs (scope, idempotency_key)
    WHERE scope IS NOT NULL AND idempotency_key IS NOT NULL AND archive_key IS NOT NULL;
CREATE INDEX import_jobs_owner ON bulk.import_jobs (owner_id, created_at DESC, id DESC) WHERE owner_id IS NOT NULL;

ALTER TABLE bulk.export_jobs
    ADD request_id text;
