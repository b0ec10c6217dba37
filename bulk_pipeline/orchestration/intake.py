"""From drops to groups of jobs: look into the inbox, claim, plan. What `upload_sensor` does, without Dagster.

It looks for exports that were asked for too: a sensor of their own would cost an idle stack a tick more.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial

from bulk_pipeline import tables
from bulk_pipeline.errors import JobGoneError, StoreRefusedError
from bulk_pipeline.orchestration.planning import Limits, plan
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.printable import printable
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.export_jobs import ExportJob
from bulk_pipeline.stores.found_objects import FoundObject
from bulk_pipeline.stores.inbox import Inbox, Memory
from bulk_pipeline.stores.jobs import ImportJob, OpenJob, new_id

_CLAIMERS = 4
_CLAIM_SECONDS = 1.5
_PAGE_OBJECTS = 25
"""Claimed together; few enough to end in time where a claim takes 40 ms, as on a busy machine."""
_BACKLOG_FILES = 2_000
_BACKLOG_SECONDS = 1.5
"""With more open jobs and files in the inbox than that, each look costs so much that the runs feel it: a tick ends
sooner. With fewer it goes on claiming and looking: the next group of a table can start when the run before it ends."""
_LOOK_AGAIN_SECONDS = 0.75
_ASK_AGAIN_SECONDS = 20.0
HURRIED = (
    "parents that arrived before this file were not finished in time; references to them may be rejected"
)


@dataclass(frozen=True)
class Intake:
    """What a look into the inbox gave. `requests`: groups that need a run. `cursor`: where to look on.

    `exports`: jobs that were asked for and need a run each.
    `is_complete`: the look came to every table's folder. `refused`: why objects stay there, a sentence for each.
    `junk`: a sentence about the files there that are no uploads; None if there are none.
    """

    claimed: int
    refused: tuple[str, ...]
    is_complete: bool
    requests: tuple["Request", ...]
    exports: tuple[ExportJob, ...]
    cursor: str
    junk: str | None = None


@dataclass(frozen=True)
class Request:
    """A run to be asked for, once: `key` tells it from every other."""

    key: str
    table: str
    jobs: tuple[OpenJob, ...]


def take_in(stores: Stores, cursor: str | None) -> Intake:
    """Look until a run is needed or the watching time is over.

    What was just claimed can start a second later: the store's clock, which says up to when all that had
    arrived was seen, has only whole seconds.
    """
    settings = stores.settings
    started = time.monotonic()
    claimed, refused = 0, dict[str, None]()
    inbox = Inbox(
        stores.objects,
        settings.s3_bucket_uploads,
        tables.names(),
        memory=_memory(settings.s3_endpoint_url, settings.s3_bucket_uploads),
        page_size=_PAGE_OBJECTS,
    ).resume(cursor)
    while True:
        began = time.monotonic()
        for outcome in _claim(stores, inbox):
            if isinstance(outcome, ImportJob):
                claimed += 1
            else:
                refused[outcome] = None
        jobs = _assign(stores, inbox)
        requests = tuple(_unstarted(jobs))
        exports = tuple(stores.exports.unstarted())
        is_backlog = inbox.holds_more_than(_BACKLOG_FILES - len(jobs))
        most = _BACKLOG_SECONDS if is_backlog else settings.bulk_watch_seconds
        ended, pause = time.monotonic(), _LOOK_AGAIN_SECONDS if inbox.is_walked else 0
        is_over = ended + pause + (ended - began) > started + most  # if the next look takes as long
        if requests or exports or is_over:
            junk = _about_junk(inbox)
            return Intake(claimed, tuple(refused), inbox.is_walked, requests, exports, inbox.cursor, junk)
        time.sleep(pause)


def _about_junk(inbox: Inbox) -> str | None:
    count = sum(junk.count for junk in inbox.junk.values())
    if not count:
        return None
    first = printable(next(junk.first for junk in inbox.junk.values() if junk.first))
    others = f" and {count - 1:,} more" if count > 1 else ""
    return f"left in the inbox, as no upload: {first}{others}"


@cache
def _memory(_endpoint: str | None, _bucket: str) -> Memory:
    """What this process knows to lie in an inbox, from one tick to the next."""
    return {}


def _claim(stores: Stores, inbox: Inbox) -> Iterator[ImportJob | str]:
    """Claim what lies in the inbox, page by page; a sentence for an object that cannot be had."""
    until, took = time.monotonic() + _CLAIM_SECONDS, [0.0]
    with ThreadPoolExecutor(_CLAIMERS) as claimers:
        for page in inbox.pages(lambda: time.monotonic() + took[-1] > until):
            began = time.monotonic()
            outcomes = list(claimers.map(partial(_claim_one, stores), page))
            took.append(time.monotonic() - began)
            yield from (outcome for outcome in outcomes if outcome is not None)


def _claim_one(stores: Stores, found: FoundObject) -> ImportJob | str | None:
    """An object that cannot be recorded or copied must not keep others from being claimed."""
    try:
        return stores.claims.claim(found)
    except StoreRefusedError as error:
        return printable(str(error))
    except JobGoneError:
        return None  # removed from the ledger half way through: the next look claims the object anew


def _assign(stores: Stores, inbox: Inbox) -> list[OpenJob]:
    """Put jobs that may start now into groups, each of which will share a run; gives the open jobs as they are then."""
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
    """Groups no run was asked for yet, or so long ago that the request may have got lost."""
    grouped: dict[str, list[OpenJob]] = {}
    for job in jobs:
        if job.group_id is not None and not job.is_held:
            grouped.setdefault(job.group_id, []).append(job)
    now = datetime.now(UTC)
    for group_id, members in grouped.items():
        asked_at = members[0].requested_at
        if asked_at is None or (now - asked_at).total_seconds() > _ASK_AGAIN_SECONDS:
            yield Request(group_id, members[0].table, tuple(members))


def limits(settings: Settings) -> Limits:
    return Limits(
        group_files=settings.bulk_group_files,
        group_bytes=settings.bulk_group_bytes,
        settle_seconds=settings.bulk_settle_seconds,
        parent_wait_seconds=settings.bulk_parent_wait_seconds,
    )
