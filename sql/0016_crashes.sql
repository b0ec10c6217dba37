-- How often the process of a run has died with a job that it had to itself.
ALTER TABLE bulk.import_jobs ADD crashes integer NOT NULL DEFAULT 0;

-- The process of the run and the one that started it; NULL: the run has several jobs, or it is not known.
ALTER TABLE bulk.job_leases ADD process text;
