"""The rows of a table in Postgres: COPY, merge, staging, stored keys, snapshots."""
