-- psql: a login for each role of sql/roles.sql, with the password that .env has now. What they make belongs to the role.
\set ON_ERROR_STOP on
\getenv owner_password BULK_OWNER_PASSWORD
\getenv loader_password BULK_LOADER_PASSWORD
\getenv reader_password BULK_READER_PASSWORD
\getenv dagster_password BULK_DAGSTER_PASSWORD

SELECT format('CREATE ROLE %I LOGIN IN ROLE %I', login, role)
FROM (VALUES
    ('bulk_migrate', 'bulk_owner'), ('bulk_worker', 'bulk_loader'),
    ('bulk_report', 'bulk_reader'), ('bulk_dagster_app', 'bulk_dagster')) AS wanted (login, role)
WHERE to_regrole(login) IS NULL \gexec

ALTER ROLE bulk_migrate PASSWORD :'owner_password';
ALTER ROLE bulk_worker PASSWORD :'loader_password';
ALTER ROLE bulk_report PASSWORD :'reader_password';
ALTER ROLE bulk_dagster_app PASSWORD :'dagster_password';
ALTER ROLE bulk_migrate SET role = bulk_owner;
ALTER ROLE bulk_worker SET role = bulk_loader;
ALTER ROLE bulk_report SET role = bulk_reader;
ALTER ROLE bulk_dagster_app SET role = bulk_dagster;
