-- Exports are also written as workbooks.
ALTER TABLE bulk.export_jobs
    DROP CONSTRAINT export_jobs_format_check,
    ADD CONSTRAINT export_jobs_format_check CHECK (format IN ('csv', 'tsv', 'ndjson', 'json', 'parquet', 'xlsx'));
