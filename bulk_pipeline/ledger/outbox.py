"""The messages for people: who subscribes, which message is due, and what became of it.

A trigger writes the messages about a job in the transaction that ends the job (`sql/0024_notifications.sql`).
"""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from bulk_pipeline.ledger.job_table import plain
from bulk_pipeline.postgres.connection import Postgres

EVERY_TABLE = "*"
DIGEST = "digest"
"""The event of the daily message about all tables. Nobody subscribes to it: the settings name who gets it."""

_FIRST_WAIT = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(hours=3)
_SEND_AGAIN_AFTER = timedelta(minutes=5)
"""Time after which a message whose sender died is sent by another one."""


class MessageStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True)
class SubscribedEvent:
    """A recipient, and an event of a table (or of `EVERY_TABLE`) about which it gets messages."""

    table: str
    event: str
    recipient: str


@dataclass(frozen=True)
class Message:
    """A row of `bulk.notifications`. `due_at`: the time that a late file or a digest is about."""

    id: str
    job_id: str | None
    event: str
    table: str | None
    due_at: datetime | None
    recipient: str
    status: MessageStatus
    attempts: int
    next_attempt_at: datetime | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class Outbox:
    """The subscriptions and messages of one database. Times are the database's."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def subscribe(self, subscriptions: Collection[SubscribedEvent]) -> None:
        """Replace all subscriptions; messages that were written before stay."""
        wanted = sorted(set(subscriptions), key=astuple)
        values = {
            "tables": [one.table for one in wanted],
            "events": [one.event for one in wanted],
            "recipients": [one.recipient for one in wanted],
        }
        self._execute(_SUBSCRIBE, values)

    def claim(self) -> Message | None:
        """Return the message that has been due longest, and let nobody else send it for five minutes.

        `SKIP LOCKED`: a message that another process is claiming is left to it.
        """
        return self._one(_CLAIM, {"again_after": _SEND_AGAIN_AFTER})

    def sent(self, message: Message) -> None:
        """Record that the receiver has accepted the message."""
        self._execute(_SENT, {"id": message.id})

    def not_sent(self, message: Message, error: str, *, is_final: bool = False) -> Message | None:
        """Record a failed attempt, and return the message as it is now; None if somebody else has settled it.

        The message is tried again after a wait that doubles with each attempt, up to three hours, and that is up to
        half longer at random. After three days, or if the failure `is_final`, it is undeliverable.
        """
        wait = min(_FIRST_WAIT * 2 ** min(message.attempts - 1, 16), _LONGEST_WAIT)
        return self._one(_NOT_SENT, {"id": message.id, "error": error, "wait": wait, "is_final": is_final})

    def add_late(self, table: str, due_at: datetime, since: datetime) -> int:
        """Write a message to each subscriber if no file of the table arrived after `since` and by `due_at`.

        Return the number of new messages; a repeated call writes none.
        """
        return self._execute(_LATE, {"table": table, "due_at": due_at, "since": since})

    def add_digest(self, due_at: datetime, recipients: Collection[str]) -> int:
        """Write the digest of a time for each recipient. Return the number of new messages."""
        return self._execute(_DIGEST, {"due_at": due_at, "recipients": list(recipients)})

    def messages(self, *, limit: int, table: str | None = None, also_sent: bool = False) -> list[Message]:
        """Return the messages that are not sent, and with `also_sent` those that are, newest first."""
        return self._all(_LIST, {"limit": limit, "table": table, "also_sent": also_sent})

    def retry(self, ids: Collection[str] | None = None) -> int:
        """Let messages that are not sent be tried now, and for three days more; return their number.

        Without `ids`, all of them.
        """
        return self._execute(_RETRY, {"ids": None if ids is None else list(ids)})

    def counts(self) -> dict[MessageStatus, int]:
        """Return the numbers of messages that wait and that are undeliverable."""
        with self._postgres.reading() as connection:
            found = dict(connection.execute(_COUNTS).fetchall())
        return {
            status: found.get(status, 0) for status in (MessageStatus.WAITING, MessageStatus.UNDELIVERABLE)
        }

    def day(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """Return what became of files in a span of time, by table: `table`, `files`, `finished`, `rejected`, `failed`,
        `cancelled`, `rows`, `rejected_rows`."""
        with self._postgres.reading() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_DAY, {"since": since, "until": until}).fetchall()

    def forget(self, older_than: timedelta) -> int:
        """Remove messages that were sent, or given up, before; return their number."""
        return self._execute(_FORGET, {"older_than": older_than})

    def _one(self, query: bytes, values: Mapping[str, Any]) -> Message | None:
        return next(iter(self._all(query, values)), None)

    def _all(self, query: bytes, values: Mapping[str, Any]) -> list[Message]:
        with self._postgres.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [_message(row) for row in cursor.execute(query, values).fetchall()]

    def _execute(self, query: LiteralString, values: Mapping[str, Any]) -> int:
        with self._postgres.transaction() as connection:
            return connection.execute(query, values).rowcount


def _message(row: dict[str, Any]) -> Message:
    values: dict[str, Any] = {name: plain(value) for name, value in row.items()}
    return Message(**{**values, "status": MessageStatus(row["status"])})


def _query(text: LiteralString) -> bytes:
    return sql.SQL(text).format(columns=_COLUMNS).as_bytes()


_COLUMNS = sql.SQL("""
    message.id, message.job_id, message.event, message.table_name AS "table", message.due_at, message.recipient,
    message.status, message.attempts, message.next_attempt_at, message.error, message.created_at, message.finished_at
""")

_SUBSCRIBE = """
    WITH declared AS (
        SELECT * FROM unnest(%(tables)s::text[], %(events)s::text[], %(recipients)s::text[])
            AS declared (table_name, event, recipient)
    ), removed AS (
        DELETE FROM bulk.notification_subscriptions AS subscription
        WHERE NOT EXISTS (
            SELECT FROM declared
            WHERE (declared.table_name, declared.event, declared.recipient)
                = (subscription.table_name, subscription.event, subscription.recipient)
        )
    )
    INSERT INTO bulk.notification_subscriptions (table_name, event, recipient)
    SELECT table_name, event, recipient FROM declared
    ON CONFLICT DO NOTHING
"""

_CLAIM = _query("""
    UPDATE bulk.notifications AS message
    SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + %(again_after)s
    WHERE id = (
        SELECT id FROM bulk.notifications
        WHERE status = 'waiting' AND next_attempt_at <= clock_timestamp()
        ORDER BY next_attempt_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {columns}
""")

_SENT = """
    UPDATE bulk.notifications
    SET status = 'sent', error = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
    WHERE id = %(id)s AND status = 'waiting'
"""

_NOT_SENT = _query("""
    UPDATE bulk.notifications AS message
    SET error = %(error)s,
        status = CASE WHEN over.is_over THEN 'undeliverable' ELSE status END,
        next_attempt_at = CASE
            WHEN NOT over.is_over THEN clock_timestamp() + %(wait)s::interval * (1 + random() / 2) END,
        finished_at = CASE WHEN over.is_over THEN clock_timestamp() END
    FROM (
        SELECT id, %(is_final)s OR give_up_at <= clock_timestamp() AS is_over
        FROM bulk.notifications
        WHERE id = %(id)s
    ) AS over
    WHERE message.id = over.id AND message.status = 'waiting'
    RETURNING {columns}
""")

_LATE = """
    INSERT INTO bulk.notifications (event, table_name, due_at, recipient)
    SELECT DISTINCT 'late', %(table)s::text, %(due_at)s::timestamptz, recipient
    FROM bulk.notification_subscriptions
    WHERE table_name IN (%(table)s, '*') AND event = 'late' AND recipient <> 'uploader'
      AND NOT EXISTS (
          SELECT FROM bulk.import_jobs
          WHERE table_name = %(table)s AND arrived_at > %(since)s AND arrived_at <= %(due_at)s
      )
    ON CONFLICT DO NOTHING
"""

_DIGEST = """
    INSERT INTO bulk.notifications (event, due_at, recipient)
    SELECT 'digest', %(due_at)s, recipient FROM unnest(%(recipients)s::text[]) AS recipient
    ON CONFLICT DO NOTHING
"""

_LIST = _query("""
    SELECT {columns}
    FROM bulk.notifications AS message
    WHERE (status <> 'sent' OR %(also_sent)s) AND (%(table)s::text IS NULL OR table_name = %(table)s)
    ORDER BY created_at DESC, id
    LIMIT %(limit)s
""")

_RETRY = """
    UPDATE bulk.notifications
    SET status = 'waiting',
        finished_at = NULL,
        next_attempt_at = clock_timestamp(),
        give_up_at = clock_timestamp() + interval '3 days'
    WHERE status <> 'sent' AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
"""

_COUNTS = "SELECT status, count(*) FROM bulk.notifications WHERE status <> 'sent' GROUP BY status"

_DAY = """
    SELECT
        job.table_name AS "table",
        count(*) AS files,
        count(*) FILTER (WHERE status = 'completed') AS finished,
        count(*) FILTER (WHERE status = 'completed_with_errors') AS rejected,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
        coalesce(sum(counts.inserted + counts.updated), 0)::bigint AS rows,
        coalesce(sum(counts.rejected), 0)::bigint AS rejected_rows
    FROM bulk.import_jobs AS job
    JOIN bulk.import_job_counts AS counts ON counts.job_id = job.id
    WHERE job.finished_at > %(since)s AND job.finished_at <= %(until)s AND job.status <> 'skipped'
    GROUP BY job.table_name
    ORDER BY job.table_name
"""

_FORGET = """
    DELETE FROM bulk.notifications WHERE status <> 'waiting' AND finished_at < clock_timestamp() - %(older_than)s
"""
