-- What loader and reader may do with what the migrations have made; `bulk-pipeline migrate` runs it each time, after
-- the migrations, where the roles of roles.sql exist. `bulk.tables`: the names of the package's own tables, if they are
-- served.
DO $tables$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY string_to_array(current_setting('bulk.tables'), ',') LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON public.%I TO bulk_loader', name);
        EXECUTE format('GRANT SELECT ON public.%I TO bulk_reader', name);
    END LOOP;
END
$tables$;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bulk TO bulk_loader;
REVOKE INSERT, UPDATE, DELETE ON bulk.migrations FROM bulk_loader;
GRANT SELECT ON bulk.migrations, bulk.import_jobs, bulk.import_batches, bulk.import_fixes, bulk.export_jobs, bulk.job_leases
    TO bulk_reader;
