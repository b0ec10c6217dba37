-- Rejected rows that are corrected and imported again: which job's rows a file has, and which of them are in the table.

-- Parent job id -> rows of this file that the parent rejected before.
ALTER TABLE bulk.import_jobs ADD parents jsonb NOT NULL DEFAULT '{}';

-- What a batch did with rows that an earlier job rejected. Written in the transaction that writes the rows.
CREATE TABLE bulk.import_fixes (
    job_id    uuid NOT NULL REFERENCES bulk.import_jobs (id) ON DELETE CASCADE,
    first_row bigint NOT NULL,              -- of the batch; batches are merged later, these rows are not
    parent_id uuid NOT NULL,                -- no foreign key: a batch must not wait for the parent's lease
    fixed     int8multirange NOT NULL,      -- numbers of the parent's rows that are in the table now
    refused   int8multirange NOT NULL,      -- numbers of those that were rejected again: they stay the parent's
    PRIMARY KEY (job_id, first_row, parent_id)
);
CREATE INDEX import_fixes_parent ON bulk.import_fixes (parent_id);

CREATE FUNCTION bulk.row_count(numbers int8multirange) RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $$
    SELECT coalesce(sum(upper(part) - lower(part)), 0)::bigint FROM unnest(numbers) AS part
$$;
COMMENT ON FUNCTION bulk.row_count IS 'The number of integers in a set of ranges.';

-- The counts of jobs, and what became of their rejected rows. Of jobs of the same bytes in one table, the one that loaded
-- rows last has rejected again what the others had: nothing is open in these.
CREATE VIEW bulk.import_job_fixes AS
SELECT
    counts.*,
    CASE
        WHEN counts.rejected <= counts.rejected_again + counts.fixed THEN 0
        WHEN EXISTS (
            SELECT FROM bulk.import_jobs AS other
            WHERE other.sha256 = job.sha256
              AND other.table_name = job.table_name
              AND other.id <> job.id
              AND CASE other.status
                  WHEN 'failed' THEN job.status = 'failed' AND other.error_code IS NULL
                  ELSE other.status IN ('completed', 'completed_with_errors')
              END
              AND (job.status = 'failed', other.created_at, other.id)
                  > (other.status = 'failed', job.created_at, job.id)
        ) THEN 0
        ELSE counts.rejected - counts.rejected_again - counts.fixed
    END AS open
FROM (
    SELECT
        settled.*,
        CASE WHEN settled.rejected > 0 THEN (
            SELECT coalesce(sum(bulk.row_count(fix.refused)), 0)::bigint
            FROM bulk.import_fixes AS fix
            WHERE fix.job_id = settled.job_id
              AND EXISTS (SELECT FROM bulk.import_jobs AS parent WHERE parent.id = fix.parent_id)
        ) ELSE 0 END AS rejected_again,
        CASE WHEN settled.rejected > 0 THEN (
            SELECT coalesce(bulk.row_count(range_agg(fix.fixed)), 0)
            FROM bulk.import_fixes AS fix
            WHERE fix.parent_id = settled.job_id
        ) ELSE 0 END AS fixed
    FROM bulk.import_job_counts AS settled
) AS counts
JOIN bulk.import_jobs AS job ON job.id = counts.job_id;
COMMENT ON VIEW bulk.import_job_fixes IS
    'Counts of each job; of its rejected rows, those that earlier jobs rejected too, that later jobs imported, and that are open.';
