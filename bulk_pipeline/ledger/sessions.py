"""Sessions of the pages for the office: one row for each browser that is signed in.

The database has only hashes of session tokens. A session ends at sign-out, at its expiry, and when its account is
disabled or gets another password.
"""

import hashlib
import secrets

from psycopg.rows import dict_row

from bulk_pipeline.ledger.accounts import Account, read_account
from bulk_pipeline.postgres.connection import Postgres

_TOKEN_BYTES = 32


def new_session_token() -> str:
    """Return a random text that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Sessions:
    """The sessions of one database. `seconds`: lifetime of a new session."""

    def __init__(self, postgres: Postgres, *, seconds: int) -> None:
        self._postgres = postgres
        self._seconds = seconds

    def start(self, account: Account) -> str:
        """Return the token of a new session of the account. Expired sessions of all accounts are removed."""
        token = new_session_token()
        values = {
            "hash": _hash(token),
            "account": account.id,
            "generation": account.token_generation,
            "seconds": self._seconds,
        }
        with self._postgres.transaction() as connection:
            connection.execute(_REMOVE_EXPIRED)
            connection.execute(_INSERT, values)
        return token

    def account(self, token: str) -> Account | None:
        """Return the account that is signed in with the token; None if the session has ended or never existed."""
        with self._postgres.reading() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_ACCOUNT, {"hash": _hash(token)}).fetchone()
        return read_account(row) if row else None

    def end(self, token: str) -> None:
        """End the session, if there is one."""
        with self._postgres.transaction() as connection:
            connection.execute(_DELETE, {"hash": _hash(token)})


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


_INSERT = """
    INSERT INTO bulk.office_sessions (token_hash, account_id, token_generation, expires_at)
    VALUES (%(hash)s, %(account)s, %(generation)s, clock_timestamp() + make_interval(secs => %(seconds)s))
"""
_ACCOUNT = """
    SELECT account.*
    FROM bulk.office_sessions AS session
    JOIN bulk.accounts AS account ON account.id = session.account_id
    WHERE session.token_hash = %(hash)s
      AND session.expires_at > clock_timestamp()
      AND session.token_generation = account.token_generation
      AND account.disabled_at IS NULL
"""
_DELETE = "DELETE FROM bulk.office_sessions WHERE token_hash = %(hash)s"
# `SKIP LOCKED`: rows that another transaction is deleting are left to it.
_REMOVE_EXPIRED = """
    DELETE FROM bulk.office_sessions
    WHERE token_hash IN (
        SELECT token_hash FROM bulk.office_sessions WHERE expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED
    )
"""
