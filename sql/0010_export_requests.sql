-- Over HTTP, an idempotency key is one request whatever the table, as long as something may come of it.
CREATE UNIQUE INDEX export_jobs_request ON bulk.export_jobs (idempotency_key)
    WHERE requested_by = 'api' AND idempotency_key IS NOT NULL AND status NOT IN ('failed', 'cancelled', 'expired');
