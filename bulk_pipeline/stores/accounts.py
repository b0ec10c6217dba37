"""Who may use the API: accounts with hashed passwords, and the brake on whoever guesses them.

Hashes are argon2id with the costs that pwdlib recommends, which take 64 MB each: callers bound how many
are made at once.
"""

from dataclasses import dataclass

import psycopg
from psycopg import errors
from pwdlib import PasswordHash

from bulk_pipeline.errors import AccountExistsError, TooManyFailuresError, WrongPasswordError
from bulk_pipeline.stores.jobs import new_id
from bulk_pipeline.stores.postgres import Postgres

FAILURES = 10
"""So many at one address within the window; a login that succeeds forgets them."""
WINDOW_SECONDS = 300

HASH = PasswordHash.recommended()


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
        hashed = HASH.hash(password)
        account = Account(new_id(), email.lower())
        try:
            with self._postgres.transaction() as connection:
                connection.execute(_INSERT, (account.id, account.email, hashed))
        except errors.UniqueViolation as error:
            raise AccountExistsError(f"there is an account for {account.email} already") from error
        return account

    def log_in(self, email: str, password: str) -> Account:
        """`WrongPasswordError`, which does not say whether there is such an account, nor takes a different time.

        `TooManyFailuresError` after too many failures at one address, in whichever process they were.
        """
        address = email.lower()
        with self._postgres.transaction() as connection:
            connection.execute(_FORGET_OLD, (WINDOW_SECONDS,))
            brake = _brake(connection, address)
            found = connection.execute(_BY_EMAIL, (address,)).fetchone()
        if brake:
            raise brake
        account_id, hashed = found or (None, None)
        is_right = _is_right(password, hashed)
        # Guesses at once have all come this far: they are let through, right or wrong, one after the other.
        with self._postgres.transaction() as connection:
            connection.execute(_ONE_AT_A_TIME, (f"login {address}",))
            if brake := _brake(connection, address):
                raise brake
            connection.execute(_FORGET if is_right else _COUNT, (address,))
        if not is_right:
            raise WrongPasswordError("wrong email address or password")
        return Account(str(account_id), address)

    def find(self, account_id: str) -> Account | None:
        """None without it, or for a text that is no id."""
        try:
            with self._postgres.reading() as connection:
                row = connection.execute(_BY_ID, (account_id,)).fetchone()
        except errors.DataError:
            return None
        return Account(str(row[0]), row[1]) if row else None


def _is_right(password: str, hashed: str | None) -> bool:
    if hashed is None:
        HASH.hash(password)  # takes the time and the memory of a comparison
        return False
    return HASH.verify(password, hashed)


def _brake(connection: psycopg.Connection, email: str) -> TooManyFailuresError | None:
    given = {"email": email, "window": WINDOW_SECONDS}
    failures, seconds = connection.execute(_FAILURES, given).fetchone() or (0, 0)
    if failures < FAILURES:
        return None
    return TooManyFailuresError("too many failed logins for this address: wait a while", max(1, int(seconds)))


_INSERT = "INSERT INTO bulk.accounts (id, email, password_hash) VALUES (%s, %s, %s)"
_BY_EMAIL = "SELECT id, password_hash FROM bulk.accounts WHERE email = %s"
_BY_ID = "SELECT id, email FROM bulk.accounts WHERE id = %s::uuid"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_FAILURES = """
    SELECT count(*), extract(epoch FROM min(failed_at) + make_interval(secs => %(window)s) - clock_timestamp())
    FROM bulk.login_failures
    WHERE email = %(email)s AND failed_at > clock_timestamp() - make_interval(secs => %(window)s)
"""
_COUNT = "INSERT INTO bulk.login_failures (email) VALUES (%s)"
_FORGET = "DELETE FROM bulk.login_failures WHERE email = %s"
# What somebody else is about to delete is left to them, so that nobody waits for anybody.
_FORGET_OLD = """
    DELETE FROM bulk.login_failures
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM bulk.login_failures
        WHERE failed_at < clock_timestamp() - make_interval(secs => %s)
        FOR UPDATE SKIP LOCKED
    ))
"""
