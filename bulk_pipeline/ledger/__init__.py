"""The ledger, schema `bulk` in Postgres: import and export jobs, leases, batches, claims, accounts."""
