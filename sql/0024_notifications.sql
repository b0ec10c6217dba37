-- Who is told about files, and the messages that are still to be sent or were sent.

-- What the table files and the settings of the daemon declare; `notify_sensor` keeps it up to date.
CREATE TABLE bulk.notification_subscriptions (
    table_name text NOT NULL,       -- '*': every table
    event      text NOT NULL CHECK (event IN ('finished', 'rejected', 'failed', 'cancelled', 'late')),
    recipient  text NOT NULL,       -- never a secret: $NAME is the environment variable that holds one
    PRIMARY KEY (table_name, event, recipient)
);

-- The outbox. The message about a job is written in the transaction that ends the job, and goes with it.
CREATE TABLE bulk.notifications (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),  -- the same in every attempt, so that receivers can dedupe
    job_id          uuid REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    event           text NOT NULL CHECK (event IN ('finished', 'rejected', 'failed', 'cancelled', 'late', 'digest')),
    table_name      text,           -- NULL: a digest, which is about all tables
    due_at          timestamptz,    -- late, digest: the time that the message is about
    recipient       text NOT NULL,
    status          text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'undeliverable')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT clock_timestamp(),      -- while it is being sent: when another process may try
    give_up_at      timestamptz NOT NULL DEFAULT clock_timestamp() + interval '3 days',
    error           text,           -- why the last attempt failed
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    CHECK ((finished_at IS NOT NULL) = (status <> 'waiting')),
    CHECK ((job_id IS NOT NULL) = (event NOT IN ('late', 'digest'))),
    UNIQUE NULLS NOT DISTINCT (job_id, event, table_name, due_at, recipient)
);
CREATE INDEX notifications_due ON bulk.notifications (next_attempt_at) WHERE status = 'waiting';
CREATE INDEX notifications_done ON bulk.notifications (finished_at) WHERE status <> 'waiting';

CREATE FUNCTION bulk.notify() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO bulk.notifications (job_id, event, table_name, recipient)
    SELECT DISTINCT NEW.id, event, NEW.table_name, recipient
    FROM bulk.notification_subscriptions
    WHERE table_name IN (NEW.table_name, '*')
      AND event = CASE NEW.status
              WHEN 'completed' THEN 'finished' WHEN 'completed_with_errors' THEN 'rejected' ELSE NEW.status END
      AND (recipient <> 'uploader' OR NEW.owner_id IS NOT NULL);
    RETURN NULL;
END
$$;

-- A skipped file repeats one that is told about.
CREATE TRIGGER notify_new AFTER INSERT ON bulk.import_jobs
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND NEW.status <> 'skipped') EXECUTE FUNCTION bulk.notify();
CREATE TRIGGER notify_finished AFTER UPDATE ON bulk.import_jobs
    FOR EACH ROW WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.status <> 'skipped')
    EXECUTE FUNCTION bulk.notify();
