"""Who may use the API: accounts with hashed passwords, and the brake on whoever guesses them.

Hashes are argon2id with the costs that pwdlib recommends, which take 64 MB each: only a few are made at a time.
"""

import threading
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import errors
from pwdlib import PasswordHash

from bulk_pipeline.errors import AccountExistsError, TooManyFailuresError, WrongPasswordError
from bulk_pipeline.stores.jobs import new_id
from bulk_pipeline.stores.postgres import Postgres

FAILURES = 10
"""So many tries at one address within the window; a login that succeeds forgets them."""
WINDOW_SECONDS = 300

_HASHING = threading.BoundedSemaphore(4)
_HASH = PasswordHash.recommended()


@dataclass(frozen=True)
class Account:
    """`email` is in lower case."""

    id: str
    email: str


class Accounts:
    """The accounts of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def register(self, email: str, password: str) -> Account:
        """`AccountExistsError` if the address has one already, also when two ask at once."""
        with _HASHING:
            hashed = _HASH.hash(password)
        account = Account(new_id(), email.lower())
        try:
            with self._postgres.transaction() as connection:
                connection.execute(_INSERT, (account.id, account.email, hashed))
        except errors.UniqueViolation as error:
            raise AccountExistsError(f"there is an account for {account.email} already") from error
        return account

    def log_in(self, email: str, password: str) -> Account:
        """`WrongPasswordError`, which does not say whether there is such an account, nor takes a different time.

        `TooManyFailuresError` after too many tries at one address, by whichever process they came.
        """
        address = email.lower()
        with self._postgres.transaction() as connection:
            _take_a_try(connection, address)
            row = connection.execute(_BY_EMAIL, (address,)).fetchone()
        account_id, stored = row or (None, _nobodys_hash())
        with _HASHING:
            is_right = _HASH.verify(password, stored)
        if account_id is None or not is_right:
            raise WrongPasswordError("wrong email address or password")
        with self._postgres.transaction() as connection:
            connection.execute(_FORGET_TRIES, (address,))
        return Account(str(account_id), address)

    def find(self, account_id: str) -> Account | None:
        """None without it, or for a text that is no id."""
        try:
            with self._postgres.transaction() as connection:
                row = connection.execute(_BY_ID, (account_id,)).fetchone()
        except errors.DataError:
            return None
        return Account(str(row[0]), row[1]) if row else None


def _take_a_try(connection: psycopg.Connection, email: str) -> None:
    """Count this try as a failure until it turns out not to be one, so that tries at once are all counted."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"login {email}",))
    connection.execute(_FORGET_OLD, (WINDOW_SECONDS,))
    tries, wait = connection.execute(_TRIES, (WINDOW_SECONDS, email)).fetchone() or (0, 0)
    if tries >= FAILURES:
        raise TooManyFailuresError("too many failed logins for this address: wait a while", max(1, int(wait)))
    connection.execute("INSERT INTO bulk.login_failures (email) VALUES (%s)", (email,))


@cache
def _nobodys_hash() -> str:
    """What the password of an unknown address is compared with."""
    with _HASHING:
        return _HASH.hash(new_id())


_INSERT = "INSERT INTO bulk.accounts (id, email, password_hash) VALUES (%s, %s, %s)"
_BY_EMAIL = "SELECT id, password_hash FROM bulk.accounts WHERE email = %s"
_BY_ID = "SELECT id, email FROM bulk.accounts WHERE id = %s::uuid"
_TRIES = """
    SELECT count(*), extract(epoch FROM min(failed_at) + make_interval(secs => %s) - clock_timestamp())
    FROM bulk.login_failures
    WHERE email = %s
"""
_FORGET_OLD = (
    "DELETE FROM bulk.login_failures WHERE failed_at < clock_timestamp() - make_interval(secs => %s)"
)
_FORGET_TRIES = "DELETE FROM bulk.login_failures WHERE email = %s"
