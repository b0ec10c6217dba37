"""Which pending jobs may start now, and which of them share a run. Pure: the ledger's rows in, groups out.

- A table's jobs are worked on one run after the other, in order of arrival, so that the table ends as if the files
  had been applied one by one.
- A child waits for a fixed set of parent uploads: those that arrived up to its own arrival plus a settling time.
  Any final status of a parent releases it; so does a maximum wait, with a warning. Nothing can starve.
- Many small files share a run; a file whose run crashed runs alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bulk_pipeline.schema import Table
from bulk_pipeline.stores.jobs import OpenJob

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """How many files and bytes share a run, and how long a child waits, in seconds."""

    group_files: int
    group_bytes: int
    settle_seconds: float
    parent_wait_seconds: float


@dataclass(frozen=True)
class Group:
    """Jobs of one table, in order of arrival, for one run. `hurried`: those that stopped waiting for parents."""

    table: str
    job_ids: tuple[str, ...]
    hurried: tuple[str, ...] = field(default=())


def plan(
    jobs: Iterable[OpenJob],
    tables: Iterable[Table],
    complete_through: Mapping[str, datetime],
    now: datetime,
    limits: Limits,
) -> list[Group]:
    """The groups to start now, at most one a table.

    `complete_through[table]`: everything that had arrived in the table's inbox by then is in the ledger.
    """
    queues: dict[str, list[OpenJob]] = {}
    for job in sorted(jobs, key=lambda job: (job.arrived_at, job.id)):
        queues.setdefault(job.table, []).append(job)
    groups = (_group(table, queues, complete_through, now, limits) for table in tables)
    return [group for group in groups if group is not None]


def _group(
    table: Table,
    queues: Mapping[str, list[OpenJob]],
    complete_through: Mapping[str, datetime],
    now: datetime,
    limits: Limits,
) -> Group | None:
    queue = queues.get(table.name, [])
    if any(job.is_busy for job in queue):
        return None
    chosen: list[OpenJob] = []
    hurried: list[str] = []
    size_bytes = 0
    for job in queue:
        full = len(chosen) == limits.group_files or size_bytes + job.size_bytes > limits.group_bytes
        alone = bool(chosen) and (job.isolated or chosen[0].isolated)
        if (chosen and (full or alone)) or (job.next_attempt_at or _NEVER) > now:
            break
        overdue = now - job.created_at > timedelta(seconds=limits.parent_wait_seconds)
        waits = _waits_for_parents(job, table, queues, complete_through, limits)
        if not overdue and (waits or complete_through.get(table.name, _NEVER) < job.arrived_at):
            break
        if waits:
            hurried.append(job.id)
        chosen.append(job)
        size_bytes += job.size_bytes
    return Group(table.name, tuple(job.id for job in chosen), tuple(hurried)) if chosen else None


def _waits_for_parents(
    job: OpenJob,
    table: Table,
    queues: Mapping[str, list[OpenJob]],
    complete_through: Mapping[str, datetime],
    limits: Limits,
) -> bool:
    until = job.arrived_at + timedelta(seconds=limits.settle_seconds)
    return any(
        complete_through.get(parent, _NEVER) < until
        or any(other.arrived_at <= until for other in queues.get(parent, []))
        for parent in table.parents
    )
