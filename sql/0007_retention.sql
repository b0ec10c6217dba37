-- What is removed every night is found by the key that a retry and a skipped job share with the first one.
CREATE INDEX import_jobs_archive_key ON bulk.import_jobs (archive_key) WHERE archive_key IS NOT NULL;
