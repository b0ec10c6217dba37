"""Decides which pending jobs may start now, and which of them share a run. Does no I/O.

- A table's jobs are worked on one run after the other, in order of arrival, so that the result is as if the files had
  been applied one by one.
- A child waits for a fixed set of parent uploads: those that arrived up to its own arrival plus a settling time.
  Any final status of a parent releases it. While parents, or the inbox, are being worked on, it waits; if everything
  that it waits for has halted, a maximum wait releases it, with a warning. So no job can starve.
- Many small files share a run; a file whose run crashed runs alone. If the inbox has more files of a table, a run waits
  for a while until it gets enough of them, since each run has a fixed cost.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bulk_pipeline.ledger.jobs import OpenJob
from bulk_pipeline.schema import Table
from bulk_pipeline.schema.load_order import parents_among

_NEVER = datetime.min.replace(tzinfo=UTC)
_ENOUGH_FILES = 100
_GATHER_SECONDS = 30.0


@dataclass(frozen=True)
class Limits:
    """The most files and bytes of a run, and the waiting times of a child, in seconds."""

    group_files: int
    group_bytes: int
    settle_seconds: float
    parent_wait_seconds: float


@dataclass(frozen=True)
class Group:
    """Jobs of one table, in order of arrival, for one run. `hurried`: the jobs that stopped waiting for parents."""

    table: str
    job_ids: tuple[str, ...]
    hurried: tuple[str, ...] = field(default=())


def plan(
    jobs: Iterable[OpenJob],
    tables: Iterable[Table],
    complete_through: Mapping[str, datetime],
    backlog: Container[str],
    now: datetime,
    limits: Limits,
) -> list[Group]:
    """The groups to start now, at most one a table. `tables`: in load order.

    `complete_through[table]`: all files that had arrived in the table's folder by then are in the ledger.
    `backlog`: the tables whose folders are known to have more files.
    """
    queues: dict[str, list[OpenJob]] = {}
    for job in sorted(jobs, key=lambda job: (job.arrived_at, job.id)):
        queues.setdefault(job.table, []).append(job)
    tables = list(tables)
    # Of two tables that refer to each other, the second waits for the first only.
    parents = {table.upload_name: parents_among(table, tables[:at]) for at, table in enumerate(tables)}
    state = _State(queues, parents, complete_through, backlog, now, limits)
    groups = (_group(table, state) for table in tables)
    return [group for group in groups if group is not None]


@dataclass(frozen=True)
class _State:
    """The input of planning. `queues`: each table's open jobs, in order of arrival. `parents`: each table's parents."""

    queues: Mapping[str, list[OpenJob]]
    parents: Mapping[str, Sequence[str]]
    complete_through: Mapping[str, datetime]
    backlog: Container[str]
    now: datetime
    limits: Limits

    def is_complete(self, table: str, through: datetime) -> bool:
        """Return True if all files that had arrived in the table's folder by then are in the ledger."""
        return self.complete_through.get(table, _NEVER) >= through

    def backs_off(self, job: OpenJob) -> bool:
        return (job.next_attempt_at or _NEVER) > self.now

    def has_halted(self, table: str) -> bool:
        """Return True if the table has jobs but none of them is being worked on for now."""
        queue = self.queues.get(table, [])
        return bool(queue) and not any(job.is_busy for job in queue) and self.backs_off(queue[0])


def _group(table: Table, state: _State) -> Group | None:
    queue, limits = state.queues.get(table.upload_name, []), state.limits
    if any(job.is_busy for job in queue):
        return None
    chosen: list[OpenJob] = []
    hurried: list[str] = []
    size_bytes = 0
    for job in queue:
        full = len(chosen) == limits.group_files or size_bytes + job.size_bytes > limits.group_bytes
        alone = bool(chosen) and (job.isolated or chosen[0].isolated)
        if (chosen and (full or alone)) or state.backs_off(job):
            break
        parents = _awaited(job, table, state)
        unseen = _unseen(job, table, state)
        if parents or unseen:
            if not _is_overdue(job, parents, unseen, state):
                break
            if parents or unseen != {table.upload_name}:
                hurried.append(job.id)
        chosen.append(job)
        size_bytes += job.size_bytes
    else:
        if chosen and size_bytes < limits.group_bytes and _is_gathering(table, chosen, state):
            return None
    return Group(table.upload_name, tuple(job.id for job in chosen), tuple(hurried)) if chosen else None


def _is_gathering(table: Table, chosen: Sequence[OpenJob], state: _State) -> bool:
    """Return True if more small files will follow soon, and the run can wait for them."""
    return (
        table.upload_name in state.backlog
        and len(chosen) < min(_ENOUGH_FILES, state.limits.group_files)
        and not chosen[0].isolated
        and state.now - chosen[0].created_at < timedelta(seconds=_GATHER_SECONDS)
    )


def _awaited(job: OpenJob, table: Table, state: _State) -> set[str]:
    """Return the parent tables with jobs that the job has to wait for."""
    until = job.arrived_at + timedelta(seconds=state.limits.settle_seconds)
    queues = {parent: state.queues.get(parent, []) for parent in state.parents[table.upload_name]}
    return {parent for parent, queue in queues.items() if queue and queue[0].arrived_at <= until}


def _unseen(job: OpenJob, table: Table, state: _State) -> set[str]:
    """Return the tables, of its own and its parents', whose folders may have files that come before the job.

    A store's timestamp may be of whole seconds, as in AWS: then files with the same one arrive until the second's end.
    """
    own, until = job.arrived_at, job.arrived_at + timedelta(seconds=state.limits.settle_seconds)
    own_end = own if own.microsecond else own.replace(microsecond=999_999)
    parents_end = until.replace(microsecond=0) + timedelta(seconds=until.microsecond > 0)
    times = dict.fromkeys(state.parents[table.upload_name], parents_end) | {table.upload_name: own_end}
    return {name for name, through in times.items() if not state.is_complete(name, through)}


def _is_overdue(job: OpenJob, parents: set[str], unseen: set[str], state: _State) -> bool:
    """Return True if the job has waited for too long, and nothing that it waits for makes progress."""
    return (
        state.now - job.created_at > timedelta(seconds=state.limits.parent_wait_seconds)
        and all(state.has_halted(table) for table in parents)
        and not any(table in state.backlog for table in unseen)
    )
