"""The connection to Postgres, migrations, roles, and drift between the declared and the actual tables."""
