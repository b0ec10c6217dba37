-- Who may do what: four roles without a login. Not a migration: roles belong to the whole server, and whoever runs the
-- migrations need not be allowed to make any. `bulk-pipeline migrate --roles` runs this, or a DBA does; as often as
-- one likes, also while it is run for another database. Logins are made members: see docs/operations.md.
--
--   bulk_owner    owns tables and ledger, runs the migrations
--   bulk_loader   what API, code location, sensors and runs need: read and write rows; no DELETE, no DDL on tables
--   bulk_reader   reads the tables and the jobs; no accounts
--   bulk_dagster  owns Dagster's own tables, in a schema of their own, and sees nothing else
DO $roles$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['bulk_owner', 'bulk_loader', 'bulk_reader', 'bulk_dagster'] LOOP
        IF to_regrole(role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;   -- somebody else, at work on another database, was faster
            END;
        END IF;
    END LOOP;
    -- From Postgres 16 on, whoever makes a role may not yet give things to it.
    FOREACH role IN ARRAY ARRAY['bulk_owner', 'bulk_dagster'] LOOP
        IF NOT pg_has_role(current_user, role, 'USAGE') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role);
        END IF;
    END LOOP;
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO bulk_owner', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO bulk_loader', current_database());
END
$roles$;

GRANT USAGE, CREATE ON SCHEMA public TO bulk_owner;
GRANT USAGE ON SCHEMA public TO bulk_loader, bulk_reader;

CREATE SCHEMA IF NOT EXISTS bulk;
ALTER SCHEMA bulk OWNER TO bulk_owner;
GRANT USAGE ON SCHEMA bulk TO bulk_loader, bulk_reader;

CREATE SCHEMA IF NOT EXISTS dagster;
ALTER SCHEMA dagster OWNER TO bulk_dagster;
-- The API looks there whether the daemon lives and the sensors tick. Dagster makes its tables later, at its first start.
GRANT USAGE ON SCHEMA dagster TO bulk_loader;
ALTER DEFAULT PRIVILEGES FOR ROLE bulk_dagster IN SCHEMA dagster GRANT SELECT ON TABLES TO bulk_loader;
DO $signs$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['daemon_heartbeats', 'instigators', 'job_ticks'] LOOP
        IF to_regclass('dagster.' || name) IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON dagster.%I TO bulk_loader', name);
        END IF;
    END LOOP;
END
$signs$;

-- What was there before the roles goes to them. `bulk.tables`: the names of the package's own tables.
DO $owners$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT relation.oid::regclass AS name, space.nspname
        FROM pg_class AS relation
        JOIN pg_namespace AS space ON space.oid = relation.relnamespace
        WHERE relation.relkind IN ('r', 'p', 'v')
            AND (space.nspname IN ('bulk', 'dagster') OR (
                space.nspname = 'public'
                AND relation.relname = ANY (string_to_array(current_setting('bulk.tables', true), ','))
            ))
    LOOP
        EXECUTE format(
            'ALTER TABLE %s OWNER TO %I',
            found.name, CASE found.nspname WHEN 'dagster' THEN 'bulk_dagster' ELSE 'bulk_owner' END);
    END LOOP;
    FOR found IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'bulk'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO bulk_owner', found.name);
    END LOOP;
END
$owners$;
