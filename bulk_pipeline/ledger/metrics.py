"""Metrics of the ledger: all-time totals, open jobs, and throughput.

Triggers maintain the totals (`sql/0011_metrics.sql`), so that their cost does not grow with the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.dagster_tables import Signs, signs

_SPEED_WINDOW = timedelta(seconds=60)


@dataclass(frozen=True)
class Total:
    """A row of the view `bulk.totals`."""

    what: str
    table: str
    label: str
    total: float


@dataclass(frozen=True)
class Open:
    """The number of open jobs of a `kind` (import, export), table and status, and the age of the oldest in seconds."""

    kind: str
    table: str
    status: str
    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class LedgerFigures:
    """Metrics of the ledger; tables that are not in the database are called unknown.

    `bounds` are the upper bounds of duration buckets in seconds. `rows_per_second` is the throughput of the last minute
    by table, `exported_at` the time of the last full export by table, in seconds since the epoch. `messages` are those
    to people that are not sent, by status.
    """

    totals: Sequence[Total]
    bounds: Sequence[float]
    open: Sequence[Open]
    rows_per_second: Mapping[str, float]
    exported_at: Mapping[str, float]
    messages: Mapping[str, int]
    signs: Signs


def figures(postgres: Postgres) -> LedgerFigures:
    """Return the current metrics. Raises `StoreUnavailableError` in an outage, or if the database takes too long."""
    with postgres.transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = '5s'")
        totals = [Total(*row) for row in connection.execute(_TOTALS)]
        bounds = [bound for (bound,) in connection.execute("SELECT unnest(bulk.duration_bounds())")]
        open_jobs = [Open(*row) for row in connection.execute(_OPEN)]
        settled_rows = connection.execute(_SPEED, {"window": _SPEED_WINDOW}).fetchall()
        exported_at = dict(connection.execute(_EXPORTED_AT).fetchall())
        messages = dict(connection.execute(_MESSAGES).fetchall())
    speed = {table: float(rows) / _SPEED_WINDOW.total_seconds() for table, rows in settled_rows}
    return LedgerFigures(totals, bounds, open_jobs, speed, exported_at, messages, _signs(postgres))


def _signs(postgres: Postgres) -> Signs:
    """Return Dagster's signs of life, or none if the role may not read them, which /ready reports."""
    try:
        return signs(postgres)
    except StoreRefusedError:
        return Signs()


_TOTALS = "SELECT what, table_name, label, total FROM bulk.totals"

# An upload that is still being received is not counted: it waits for its sender.
_OPEN = """
    SELECT kind, bulk.tally_table(table_name), status, count(*),
           max(bulk.seconds_between(created_at, clock_timestamp()))
    FROM (
        SELECT 'import' AS kind, table_name, status, created_at
        FROM bulk.import_jobs
        WHERE status IN ('pending', 'processing') AND claimed_at IS NOT NULL
        UNION ALL
        SELECT 'export', table_name, status, created_at
        FROM bulk.export_jobs
        WHERE status IN ('pending', 'processing')
    ) AS job
    GROUP BY 1, 2, 3
"""

# now(), unlike clock_timestamp(), lets the index be used.
_SPEED = """
    SELECT bulk.tally_table(job.table_name), sum(batch.last_row - batch.first_row + 1)
    FROM bulk.import_batches AS batch
    JOIN bulk.import_jobs AS job ON job.id = batch.job_id
    WHERE batch.recorded_at > now() - %(window)s
    GROUP BY 1
"""

_EXPORTED_AT = """
    SELECT bulk.tally_table(table_name), extract(epoch FROM max(finished_at))::double precision
    FROM bulk.export_jobs
    WHERE kind = 'full' AND manifest IS NOT NULL
    GROUP BY table_name
"""

_MESSAGES = "SELECT status, count(*) FROM bulk.notifications WHERE status <> 'sent' GROUP BY status"
