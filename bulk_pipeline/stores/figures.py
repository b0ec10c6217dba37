"""The ledger in figures, for people who watch it: totals of all time, what is open now, how fast it goes.

Totals are kept by triggers (`sql/0011_metrics.sql`), so that the age of the ledger does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.stores.dagster_tables import Signs, signs
from bulk_pipeline.stores.postgres import Postgres

_SPEED_WINDOW = timedelta(seconds=60)


@dataclass(frozen=True)
class Total:
    """`what` and `label` as in the view `bulk.totals`."""

    what: str
    table: str
    label: str
    total: float


@dataclass(frozen=True)
class Open:
    """Jobs of one `kind` (import, export), table and status that are not final. The oldest is so many seconds old."""

    kind: str
    table: str
    status: str
    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class Figures:
    """Tables that the database does not have are called unknown.

    `bounds`: where the buckets of durations end, in seconds. `rows_per_second`: table → rows settled in the last
    minute. `exported_at`: table → when the last full export of it was complete, in seconds since the epoch.
    """

    totals: Sequence[Total]
    bounds: Sequence[float]
    open: Sequence[Open]
    rows_per_second: Mapping[str, float]
    exported_at: Mapping[str, float]
    signs: Signs


def figures(postgres: Postgres) -> Figures:
    """As they are now. `StoreUnavailableError` in an outage, or if the database takes too long."""
    with postgres.transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = '5s'")
        totals = [Total(*row) for row in connection.execute(_TOTALS)]
        bounds = [bound for (bound,) in connection.execute("SELECT unnest(bulk.duration_bounds())")]
        opened = [Open(*row) for row in connection.execute(_OPEN)]
        settled = connection.execute(_SPEED, {"window": _SPEED_WINDOW}).fetchall()
        exported_at = dict(connection.execute(_EXPORTED_AT).fetchall())
    speed = {table: float(rows) / _SPEED_WINDOW.total_seconds() for table, rows in settled}
    return Figures(totals, bounds, opened, speed, exported_at, _signs(postgres))


def _signs(postgres: Postgres) -> Signs:
    """None for who may not read them, whom /ready tells so."""
    try:
        return signs(postgres)
    except StoreRefusedError:
        return Signs()


_TOTALS = "SELECT what, table_name, label, total FROM bulk.totals"

# An upload that is still on its way cannot be started: it waits for its sender, not for us.
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
