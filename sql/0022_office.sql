-- The pages for the office: who is signed in, and files that are checked before anything is loaded.

CREATE TABLE bulk.office_sessions (
    token_hash       bytea PRIMARY KEY,         -- SHA-256 of the cookie: a copy of the table signs nobody in
    account_id       uuid NOT NULL REFERENCES bulk.accounts (id),
    token_generation integer NOT NULL,          -- the account's at sign-in: another one ends the session
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at       timestamptz NOT NULL
);
CREATE INDEX office_sessions_expiry ON bulk.office_sessions (expires_at);

-- A file that is read and validated, but not loaded. Its bytes are in the archive until the check is removed.
CREATE TABLE bulk.file_checks (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES bulk.accounts (id),
    form_token  text NOT NULL,                  -- of the form that sent it: a repetition is the same check
    table_name  text NOT NULL,
    mode        text NOT NULL,
    file_name   text NOT NULL,
    object_key  text NOT NULL,                  -- in the archive
    size_bytes  bigint NOT NULL,
    sha256      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    error       text,                           -- why the file cannot be read
    result      jsonb,                          -- rows, good rows, first failures, warnings
    UNIQUE (owner_id, form_token)
);
CREATE INDEX file_checks_age ON bulk.file_checks (created_at);
