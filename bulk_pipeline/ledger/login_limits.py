"""Limits failed logins, counted in the database across all processes and restarts.

The limit applies to the pair of account and client, so that an attacker slows down only their own client, not the
owner at another address. OWASP's Authentication Cheat Sheet also asks to count by account, since guesses may come from
many addresses, and warns that a lock on the account would let anybody lock its owner out. Many failures at one account
therefore only lower the limit of each client: the owner can always try from a new address. A client that tries many
accounts has a limit of its own.

The table is bounded: every row costs its client a hash, whose number callers limit, and is removed after
`WINDOW_SECONDS`.
"""

from dataclasses import dataclass

import psycopg

from bulk_pipeline.errors import TooManyFailuresError

WINDOW_SECONDS = 300

FAILURES = 10
"""Failures of one client at one account within the window; a login that succeeds forgets them."""
FAILURES_OF_ATTACKED = 2
"""Failures of one client at one account that is under attack."""
ATTACKED = 100
"""Failures at one account within the window, of all clients, from which on it counts as under attack."""
FAILURES_OF_CLIENT = 100
"""Failures of one client within the window, at all accounts."""


@dataclass(frozen=True)
class Attempt:
    """A login. `email` is in lower case; `client` is one text for all addresses of a client."""

    email: str
    client: str


def brake(connection: psycopg.Connection, attempt: Attempt) -> TooManyFailuresError | None:
    """Return the error with which the attempt is refused, or None if it may be tried."""
    parameters = {
        "email": attempt.email,
        "client": attempt.client,
        "window": WINDOW_SECONDS,
        "attacked": ATTACKED,
        "failures": FAILURES,
        "failures_of_attacked": FAILURES_OF_ATTACKED,
        "failures_of_client": FAILURES_OF_CLIENT,
    }
    (seconds,) = connection.execute(_SECONDS_TO_WAIT, parameters).fetchone() or (None,)
    if seconds is None:
        return None
    return TooManyFailuresError("too many failed logins for this address: wait a while", max(1, int(seconds)))


def one_at_a_time(connection: psycopg.Connection, attempt: Attempt) -> None:
    """Wait for other attempts at this account, and block later ones until the transaction ends."""
    connection.execute(_ONE_AT_A_TIME, (f"login {attempt.email}",))


def count(connection: psycopg.Connection, attempt: Attempt) -> None:
    """Count a failed attempt."""
    connection.execute(_COUNT, (attempt.email, attempt.client))


def forget(connection: psycopg.Connection, attempt: Attempt) -> None:
    """Remove this client's failures at this account, after an attempt that succeeded."""
    connection.execute(_FORGET, (attempt.email, attempt.client))


def forget_old(connection: psycopg.Connection) -> None:
    """Remove the failures that no longer count."""
    connection.execute(_FORGET_OLD, (WINDOW_SECONDS,))


# The failure that must leave the window before another is allowed: the n-th newest of n allowed ones.
_SECONDS_TO_WAIT = """
    WITH recent AS (
        SELECT email = %(email)s AS is_of_account, client = %(client)s AS is_of_client, failed_at
        FROM bulk.login_failures
        WHERE (email = %(email)s OR client = %(client)s)
          AND failed_at > clock_timestamp() - make_interval(secs => %(window)s)
    ),
    allowed AS (
        SELECT CASE WHEN count(*) < %(attacked)s THEN %(failures)s ELSE %(failures_of_attacked)s END AS failures
        FROM recent
        WHERE is_of_account
    ),
    blocking AS (
        (
            SELECT failed_at FROM recent WHERE is_of_account AND is_of_client
            ORDER BY failed_at DESC OFFSET (SELECT failures FROM allowed) - 1 LIMIT 1
        )
        UNION ALL
        (
            SELECT failed_at FROM recent WHERE is_of_client
            ORDER BY failed_at DESC OFFSET %(failures_of_client)s - 1 LIMIT 1
        )
    )
    SELECT extract(epoch FROM max(failed_at) + make_interval(secs => %(window)s) - clock_timestamp())
    FROM blocking
"""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_COUNT = "INSERT INTO bulk.login_failures (email, client) VALUES (%s, %s)"
_FORGET = "DELETE FROM bulk.login_failures WHERE email = %s AND client = %s"
# `SKIP LOCKED`: rows that another transaction is deleting are left to it.
_FORGET_OLD = """
    DELETE FROM bulk.login_failures
    WHERE ctid = ANY (ARRAY(
        SELECT ctid
        FROM bulk.login_failures
        WHERE failed_at < clock_timestamp() - make_interval(secs => %s)
        FOR UPDATE SKIP LOCKED
    ))
"""
