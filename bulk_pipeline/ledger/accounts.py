"""Accounts of the API, with hashed passwords and rights.

Hashes are argon2id with the costs that pwdlib recommends. Each takes 64 MB while it is computed, so callers limit how
many are computed at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from pwdlib import PasswordHash

from bulk_pipeline.errors import AccountExistsError, NotFoundError, WrongPasswordError
from bulk_pipeline.ledger import login_limits
from bulk_pipeline.ledger.job_table import plain
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.ledger.login_limits import Attempt
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.rights import JobsRight, Rights

HASH = PasswordHash.recommended()


@dataclass(frozen=True)
class Account:
    """An account. `email` is in lower case, tokens of another `token_generation` are invalid, and `disabled_at` is None
    while the account is enabled."""

    id: str
    email: str
    rights: Rights
    token_generation: int
    created_at: datetime
    disabled_at: datetime | None


class Accounts:
    """The accounts of one database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def register(self, email: str, password: str, rights: Rights) -> Account:
        """Create an account. Raises `AccountExistsError` if the address has one, even in concurrent calls."""
        values = {"id": new_id(), "email": email.lower(), "hash": HASH.hash(password), **_columns(rights)}
        try:
            return self._changed(_INSERT, values)
        except errors.UniqueViolation as error:
            raise AccountExistsError(f"there is an account for {values['email']} already") from error

    def all(self) -> list[Account]:
        """Return every account, by address."""
        with self._postgres.reading() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [read_account(row) for row in cursor.execute(_ALL).fetchall()]

    def find(self, account_id: str) -> Account | None:
        """Return the account, or None if there is none or the text is not an id."""
        try:
            with self._postgres.reading() as connection:
                return _one(connection, _BY_ID, {"id": account_id})
        except errors.DataError:
            return None

    def emails(self, account_ids: Iterable[str]) -> dict[str, str]:
        """Return the address of each account that exists, by its id; ask Postgres only if there is an id."""
        if not (ids := list(account_ids)):
            return {}
        with self._postgres.reading() as connection:
            return {str(id_): email for id_, email in connection.execute(_EMAILS, {"ids": ids})}

    def by_email(self, email: str) -> Account:
        """Return the account of the address. Raises `NotFoundError` if there is none."""
        with self._postgres.reading() as connection:
            return _known(_one(connection, _BY_EMAIL, {"email": email.lower()}), email)

    def set_rights(self, email: str, rights: Rights) -> Account:
        """Replace the rights of an account. Raises `NotFoundError` if there is none."""
        return self._changed(_SET_RIGHTS, {"email": email.lower(), **_columns(rights)})

    def disable(self, email: str) -> Account:
        """End an account's tokens, and refuse logins until it is enabled. Raises `NotFoundError` if there is none."""
        return self._changed(_DISABLE, {"email": email.lower()})

    def enable(self, email: str) -> Account:
        """Let a disabled account log in again; its old tokens stay invalid. Raises `NotFoundError` if there is none."""
        return self._changed(_ENABLE, {"email": email.lower()})

    def reset(self, email: str, password: str) -> Account:
        """Set another password, end the account's tokens and forget its failed logins.

        Raises `NotFoundError` if there is no account.
        """
        self.by_email(email)  # a wrong address needs no hash
        return self._changed(_RESET, {"email": email.lower(), "hash": HASH.hash(password)})

    def log_in(self, email: str, password: str, client: str) -> Account:
        """Return the account if the password is right; `client` is the address of the caller.

        Raises `WrongPasswordError`, which reveals neither by its message nor by its time whether the account exists,
        and `TooManyFailuresError` after too many failures, counted across all processes.
        """
        attempt = Attempt(email.lower(), client)
        with self._postgres.transaction() as connection:
            login_limits.forget_old(connection)
            brake = login_limits.brake(connection, attempt)
            row = connection.execute(_HASH_OF, (attempt.email,)).fetchone()
            account = _one(connection, _BY_EMAIL, {"email": attempt.email})
        if brake:
            raise brake
        is_right = _is_right(password, row[0] if row else None)
        # Concurrent guesses have all come this far: check them one at a time, whether right or wrong.
        with self._postgres.transaction() as connection:
            login_limits.one_at_a_time(connection, attempt)
            if brake := login_limits.brake(connection, attempt):
                raise brake
            (login_limits.forget if is_right else login_limits.count)(connection, attempt)
        if account is None or account.disabled_at is not None or not is_right:
            raise WrongPasswordError("wrong email address or password")
        return account

    def _changed(self, query: LiteralString, values: Mapping[str, Any]) -> Account:
        with self._postgres.transaction() as connection:
            return _known(_one(connection, query, values), values["email"])


def _is_right(password: str, hashed: str | None) -> bool:
    if hashed is None:
        HASH.hash(password)  # takes the time and memory of a comparison
        return False
    return HASH.verify(password, hashed)


def _one(connection: psycopg.Connection, query: LiteralString, values: Mapping[str, Any]) -> Account | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query, values).fetchone()
    return read_account(row) if row else None


def read_account(row: dict[str, Any]) -> Account:
    """Return the account of a row of `bulk.accounts`."""
    return Account(
        id=plain(row["id"]),
        email=row["email"],
        rights=Rights(tuple(row["import_tables"]), tuple(row["export_tables"]), JobsRight(row["jobs"])),
        token_generation=row["token_generation"],
        created_at=plain(row["created_at"]),
        disabled_at=plain(row["disabled_at"]),
    )


def _columns(rights: Rights) -> dict[str, Any]:
    return {
        "import": list(rights.import_tables),
        "export": list(rights.export_tables),
        "jobs": rights.jobs,
    }


def _known(account: Account | None, email: str) -> Account:
    if account is None:
        raise NotFoundError(f"no account {email}: `bulk-pipeline account list` lists the accounts")
    return account


_INSERT = """
    INSERT INTO bulk.accounts (id, email, password_hash, import_tables, export_tables, jobs)
    VALUES (%(id)s, %(email)s, %(hash)s, %(import)s, %(export)s, %(jobs)s)
    RETURNING *
"""
_ALL = "SELECT * FROM bulk.accounts ORDER BY email"
_BY_ID = "SELECT * FROM bulk.accounts WHERE id = %(id)s::uuid"
_EMAILS = "SELECT id, email FROM bulk.accounts WHERE id = ANY (%(ids)s::uuid[])"
_BY_EMAIL = "SELECT * FROM bulk.accounts WHERE email = %(email)s"
_HASH_OF = "SELECT password_hash FROM bulk.accounts WHERE email = %s"
_SET_RIGHTS = """
    UPDATE bulk.accounts
    SET import_tables = %(import)s, export_tables = %(export)s, jobs = %(jobs)s
    WHERE email = %(email)s
    RETURNING *
"""
_DISABLE = """
    UPDATE bulk.accounts
    SET disabled_at = coalesce(disabled_at, clock_timestamp()), token_generation = token_generation + 1
    WHERE email = %(email)s
    RETURNING *
"""
_ENABLE = "UPDATE bulk.accounts SET disabled_at = NULL WHERE email = %(email)s RETURNING *"
_RESET = """
    WITH forgotten AS (DELETE FROM bulk.login_failures WHERE email = %(email)s)
    UPDATE bulk.accounts
    SET password_hash = %(hash)s, token_generation = token_generation + 1
    WHERE email = %(email)s
    RETURNING *
"""
