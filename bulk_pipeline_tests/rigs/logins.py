"""Logins with few rights."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import conninfo


@contextmanager
def login_with(admin_url: str, *rights: str) -> Iterator[str]:
    """Return the URL of a login with the rights of the ledger and these."""
    name = f"login_{uuid4().hex[:12]}"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'".encode())
        for right in ("USAGE ON SCHEMA bulk", "ALL ON ALL TABLES IN SCHEMA bulk", *rights):
            admin.execute(f"GRANT {right} TO {name}".encode())
        parts = conninfo.conninfo_to_dict(admin_url)
        yield f"postgresql://{name}:secret@{parts['host']}:{parts['port']}/{parts['dbname']}"
        admin.execute(f"DROP OWNED BY {name}".encode())
        admin.execute(f"DROP ROLE {name}".encode())
