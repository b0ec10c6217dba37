"""From drops to groups of jobs: look into the inbox, claim, plan. What `upload_sensor` does, without Dagster."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from bulk_pipeline import tables
from bulk_pipeline.orchestration.planning import Limits, plan
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.inbox import Inbox
from bulk_pipeline.stores.jobs import ImportJob, OpenJob, new_id

_CLAIMERS = 4
_CLAIM_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 20.0
HURRIED = (
    "parents that arrived before this file were not finished in time; references to them may be rejected"
)


@dataclass(frozen=True)
class Intake:
    """What a look into the inbox gave. `requests`: groups that need a run. `cursor`: where to look on.

    `is_complete`: the look came to every table's folder.
    """

    claimed: int
    is_complete: bool
    requests: tuple["Request", ...]
    cursor: str


@dataclass(frozen=True)
class Request:
    """A run to be asked for, once: `key` tells it from every other."""

    key: str
    table: str
    jobs: tuple[OpenJob, ...]


def take_in(stores: Stores, cursor: str | None) -> Intake:
    """Look until a run is needed, something is left to claim, or the watching time is over."""
    settings = stores.settings
    watch_until = time.monotonic() + settings.bulk_watch_seconds
    while True:
        inbox = Inbox.resume(stores.objects, settings.s3_bucket_uploads, tables.names(), cursor)
        claimed = sum(1 for _ in _claim(stores, inbox))
        cursor = inbox.cursor
        _assign(stores, inbox)
        requests = tuple(_unstarted(stores))
        if requests or claimed or time.monotonic() + _LOOK_AGAIN_SECONDS > watch_until:
            return Intake(claimed, inbox.is_walked, requests, cursor)
        time.sleep(_LOOK_AGAIN_SECONDS)


def _claim(stores: Stores, inbox: Inbox) -> Iterator[ImportJob]:
    """Claim what lies in the inbox, page by page. An object that cannot be recorded stays where it is."""
    until = time.monotonic() + _CLAIM_SECONDS
    with ThreadPoolExecutor(_CLAIMERS) as claimers:
        for page in inbox.pages(lambda: time.monotonic() > until):
            yield from (job for job in claimers.map(stores.claims.claim, page) if job is not None)


def _assign(stores: Stores, inbox: Inbox) -> None:
    """Put jobs that may start now into groups, each of which will share a run."""
    settings = stores.settings
    groups = plan(
        stores.ledger.open_jobs(),
        tables.in_load_order(),
        inbox.complete_through,
        datetime.now(UTC),
        limits(settings),
    )
    for group in groups:
        stores.ledger.assign_group(group.job_ids, new_id())
        for job_id in group.hurried:
            stores.ledger.warn(job_id, HURRIED)


def _unstarted(stores: Stores) -> Iterator[Request]:
    """Groups no run was asked for yet, or so long ago that the request may have got lost."""
    grouped: dict[str, list[OpenJob]] = {}
    for job in stores.ledger.open_jobs():
        if job.group_id is not None and not job.is_held:
            grouped.setdefault(job.group_id, []).append(job)
    now = datetime.now(UTC)
    for group_id, jobs in grouped.items():
        asked_at = jobs[0].requested_at
        if asked_at is None or (now - asked_at).total_seconds() > _ASK_AGAIN_SECONDS:
            yield Request(group_id, jobs[0].table, tuple(jobs))


def limits(settings: Settings) -> Limits:
    return Limits(
        group_files=settings.bulk_group_files,
        group_bytes=settings.bulk_group_bytes,
        settle_seconds=settings.bulk_settle_seconds,
        parent_wait_seconds=settings.bulk_parent_wait_seconds,
    )
