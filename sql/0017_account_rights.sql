-- What an account may do, whether it is disabled, and which of its tokens count. Exports have owners, as imports have.

ALTER TABLE bulk.accounts
    ADD import_tables    text[] NOT NULL DEFAULT '{}',      -- names of tables; '*' is every table
    ADD export_tables    text[] NOT NULL DEFAULT '{}',
    ADD jobs             text NOT NULL DEFAULT 'own' CHECK (jobs IN ('own', 'all')),
    ADD token_generation integer NOT NULL DEFAULT 0,        -- tokens of another generation are refused
    ADD disabled_at      timestamptz;                       -- NULL: enabled

-- Accounts from before keep every table, so that no client stops working at the upgrade. They see only their own jobs
-- from now on: any of them could cancel imports from the bucket and exports of others.
UPDATE bulk.accounts SET import_tables = '{*}', export_tables = '{*}';

ALTER TABLE bulk.export_jobs
    ADD owner_id uuid REFERENCES bulk.accounts (id);        -- NULL: made without an account
CREATE INDEX export_jobs_owner ON bulk.export_jobs (owner_id, created_at DESC, id DESC) WHERE owner_id IS NOT NULL;

-- The idempotency key of an export over HTTP begins with the account's id. Without a key the owner is not known.
ALTER TABLE bulk.export_jobs DISABLE TRIGGER touch;
UPDATE bulk.export_jobs AS job
SET owner_id = account.id
FROM bulk.accounts AS account
WHERE job.requested_by = 'api' AND split_part(job.idempotency_key, '/', 1) = account.id::text;
ALTER TABLE bulk.export_jobs ENABLE TRIGGER touch;
