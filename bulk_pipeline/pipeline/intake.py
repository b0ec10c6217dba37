"""Claims uploads in the inbox and plans groups of jobs, for `upload_sensor`; no Dagster.

Also finds requested exports, since a sensor of their own would cost an idle stack one more tick.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial

from bulk_pipeline import tables
from bulk_pipeline.errors import JobGoneError, StoreRefusedError
from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.ledger.jobs import ImportJob, OpenJob, new_id
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.inbox import Inbox, Memory
from bulk_pipeline.pipeline.planning import Limits, plan
from bulk_pipeline.printable import printable
from bulk_pipeline.s3.listing import ListedObject
from bulk_pipeline.settings import Settings

_CLAIMERS = 4
CLAIM_SECONDS = 1.5
"""Time limit for claiming files between two plans."""
_PAGE_OBJECTS = 25
"""Objects that are claimed together; few enough to finish in time if a claim takes 40 ms, as on a busy machine."""
_BACKLOG_FILES = 2_000
_BACKLOG_SECONDS = 1.5
"""With more open jobs and files than `_BACKLOG_FILES`, a tick ends after `_BACKLOG_SECONDS`, since polling would slow
down the runs. With fewer, it continues to claim and poll, so that a table's next group starts as soon as a run ends."""
_LOOK_AGAIN_SECONDS = 0.75
_LOOK_AGAIN_SOON_SECONDS = 0.2
_SOON_SECONDS = 30.0
"""For this time after an upload the next one is looked for more often than on an idle stack, where looking is all that
costs processor time."""
_ASK_AGAIN_SECONDS = 20.0
HURRIED = (
    "parents that arrived before this file were not finished in time; references to them may be rejected"
)


@dataclass(frozen=True)
class Intake:
    """The result of reading the inbox.

    `requests`: groups that need a run. `exports`: requested exports, which need a run each.
    `cursor`: the position at which to continue. `is_complete`: every table's folder was read.
    `refused`: a sentence for each object that cannot be claimed. `junk`: a sentence about junk files, None without any.
    `strays`: the keys of claimed files whose folders name no table; their jobs have failed.
    """

    claimed: int
    refused: tuple[str, ...]
    is_complete: bool
    requests: tuple["Request", ...]
    exports: tuple[ExportJob, ...]
    cursor: str
    junk: str | None = None
    strays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A run to request, once; `key` is unique to it."""

    key: str
    table: str
    jobs: tuple[OpenJob, ...]


def take_in(stores: Stores, cursor: str | None, *, watch_seconds: float | None = None) -> Intake:
    """Claim and plan until a run is needed, or the watching time is over: `BULK_WATCH_SECONDS`, unless it is given.

    Files that were just claimed can start when a later listing shows that no earlier file is missing: by the next pass,
    or in the next second if the store's timestamps have whole seconds.
    """
    settings = stores.settings
    watch_seconds = settings.bulk_watch_seconds if watch_seconds is None else watch_seconds
    started = time.monotonic()
    claimed, refused, strays = 0, dict[str, None](), list[str]()
    watch = _watch(settings.s3_endpoint_url, settings.s3_bucket_uploads)
    inbox = Inbox(
        stores.objects,
        settings.s3_bucket_uploads,
        tables.names(),
        memory=watch.memory,
        page_size=_PAGE_OBJECTS,
    ).resume(cursor)
    while True:
        began = time.monotonic()
        for outcome in _claim(stores, inbox):
            if isinstance(outcome, ImportJob):
                claimed += 1
                if outcome.table not in inbox.tables:
                    strays.append(outcome.key)
            else:
                refused[outcome] = None
        jobs = _assign(stores, inbox)
        requests = tuple(_unstarted(jobs))
        exports = tuple(stores.exports.unstarted())
        is_backlog = inbox.holds_more_than(_BACKLOG_FILES - len(jobs))
        most = _BACKLOG_SECONDS if is_backlog else watch_seconds
        ended = time.monotonic()
        if claimed or requests:
            watch.busy_until = ended + _SOON_SECONDS
        pause = watch.pause(ended) if inbox.is_walked else 0
        is_over = ended + pause + (ended - began) > started + most  # if the next pass takes as long
        if requests or exports or is_over:
            junk = _about_junk(inbox)
            return Intake(
                claimed,
                tuple(refused),
                inbox.is_walked,
                requests,
                exports,
                inbox.cursor,
                junk,
                tuple(strays),
            )
        time.sleep(pause)


def _about_junk(inbox: Inbox) -> str | None:
    count = sum(junk.count for junk in inbox.junk.values())
    if not count:
        return None
    first = printable(next(junk.first for junk in inbox.junk.values() if junk.first))
    others = f" and {count - 1:,} more" if count > 1 else ""
    return f"left in the inbox, as no upload: {first}{others}"


@dataclass
class _Watch:
    """This process's memory of an inbox, which lasts from one tick to the next."""

    memory: Memory = field(default_factory=dict)
    busy_until: float = 0.0

    def pause(self, now: float) -> float:
        """Return the seconds until the inbox is looked into again."""
        return _LOOK_AGAIN_SOON_SECONDS if now < self.busy_until else _LOOK_AGAIN_SECONDS


@cache
def _watch(_endpoint: str | None, _bucket: str) -> _Watch:
    return _Watch()


def _claim(stores: Stores, inbox: Inbox) -> Iterator[ImportJob | str]:
    """Claim files in the inbox page by page; yield the job, or a sentence for an object that cannot be claimed."""
    until, took = time.monotonic() + CLAIM_SECONDS, [0.0]
    with ThreadPoolExecutor(_CLAIMERS) as claimers:
        for page in inbox.pages(lambda: time.monotonic() + took[-1] > until):
            began = time.monotonic()
            outcomes = list(claimers.map(partial(_claim_one, stores), page))
            took.append(time.monotonic() - began)
            yield from (outcome for outcome in outcomes if outcome is not None)


def _claim_one(stores: Stores, upload: ListedObject) -> ImportJob | str | None:
    """Claim one object; an object that cannot be recorded or copied does not stop the others."""
    try:
        return stores.claims.claim(upload)
    except StoreRefusedError as error:
        return printable(str(error))
    except JobGoneError:
        return None  # removed from the ledger meanwhile: the next pass claims the object again


def _assign(stores: Stores, inbox: Inbox) -> list[OpenJob]:
    """Assign jobs that may start now to groups, each of which shares a run; return the open jobs afterwards."""
    settings, jobs = stores.settings, stores.ledger.open_jobs()
    groups = plan(
        jobs,
        tables.in_load_order(),
        inbox.complete_through,
        inbox.backlog,
        datetime.now(UTC),
        limits(settings),
    )
    for group in groups:
        stores.ledger.assign_group(group.job_ids, new_id())
        for job_id in group.hurried:
            stores.ledger.warn(job_id, HURRIED)
    return stores.ledger.open_jobs() if groups else jobs


def _unstarted(jobs: Iterable[OpenJob]) -> Iterator[Request]:
    """Yield the groups without a requested run, or whose request is so old that it may be lost."""
    grouped: dict[str, list[OpenJob]] = {}
    for job in jobs:
        if job.group_id is not None and not job.is_held:
            grouped.setdefault(job.group_id, []).append(job)
    now = datetime.now(UTC)
    for group_id, members in grouped.items():
        requested_at = members[0].requested_at
        if requested_at is None or (now - requested_at).total_seconds() > _ASK_AGAIN_SECONDS:
            yield Request(group_id, members[0].table, tuple(members))


def limits(settings: Settings) -> Limits:
    return Limits(
        group_files=settings.bulk_group_files,
        group_bytes=settings.bulk_group_bytes,
        settle_seconds=settings.bulk_settle_seconds,
        parent_wait_seconds=settings.bulk_parent_wait_seconds,
    )
