"""Tells people about files: keeps the subscriptions, notices missing files, and sends what the outbox holds."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from bulk_pipeline import tables
from bulk_pipeline.errors import (
    DeclarationError,
    DeliveryError,
    NotFoundError,
    SettingsError,
    UnknownTableError,
)
from bulk_pipeline.ledger.outbox import DIGEST, EVERY_TABLE, Message, SubscribedEvent
from bulk_pipeline.pipeline import notices
from bulk_pipeline.pipeline.channels import send, setting_recipients
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.notices import Notice
from bulk_pipeline.schema.expectation import Expectation
from bulk_pipeline.schema.subscription import Event, is_recipient
from bulk_pipeline.settings import Settings, listed
from bulk_pipeline.stages.report_names import ERRORS_CSV

_CLAIM_TIME = timedelta(minutes=2)
"""Time after a due time in which files that arrived before it are still being claimed."""
_MOST_OPEN = 100_000

_subscribed: dict[str, frozenset[SubscribedEvent]] = {}
"""By database: what this process has subscribed."""


def subscribe(stores: Stores) -> None:
    """Store in the ledger who gets messages about which events. Raises `SettingsError`."""
    wanted = frozenset(subscriptions(stores.settings))
    stores.outbox.subscribe(wanted)
    _subscribed[stores.database_url] = wanted


def subscribe_if_changed(stores: Stores) -> None:
    """Do what `subscribe` does before the first job can end, and after each change of a table file."""
    if _subscribed.get(stores.database_url) != frozenset(subscriptions(stores.settings)):
        subscribe(stores)


def subscriptions(settings: Settings) -> Iterator[SubscribedEvent]:
    """Return what the table files and the settings declare. Raises `SettingsError`."""
    for table in tables.in_load_order():
        for subscription in table.notify:
            for event in subscription.on:
                yield SubscribedEvent(table.upload_name, event, subscription.to)
    recipients = setting_recipients(settings)
    for name, text in recipients.items():
        if "://" not in text and not is_recipient(text):
            raise SettingsError(f"NOTIFY_URLS: {name} is no URL, e-mail address or $NAME")
    for word in listed(settings.notify_on):
        if word not in [*Event]:
            raise SettingsError(f"NOTIFY_ON: {word!r} is unknown: expected some of {', '.join(Event)}")
        for name in recipients:
            yield SubscribedEvent(EVERY_TABLE, word, name)


def add_timed_messages(stores: Stores, now: datetime) -> int:
    """Write the messages about files that are late and the digest, once per due time. Return their number."""
    added = 0
    for table in tables.in_load_order():
        if table.expects is not None:
            due = table.expects.due_at(now - _CLAIM_TIME)
            added += stores.outbox.add_late(table.upload_name, due, table.expects.previous(due))
    if (at := digest_time(stores.settings)) and (recipients := setting_recipients(stores.settings)):
        due = at.due_at(now)
        if now - due < timedelta(
            hours=1
        ):  # a digest that was missed tells nothing that the next one does not
            added += stores.outbox.add_digest(due, recipients)
    return added


def digest_time(settings: Settings) -> Expectation | None:
    """Return the time of NOTIFY_DIGEST. Raises `SettingsError`."""
    try:
        return Expectation.parse(settings.notify_digest) if settings.notify_digest else None
    except DeclarationError as error:
        raise SettingsError(f"NOTIFY_DIGEST: {error}") from error


def deliver(stores: Stores, now: Callable[[], datetime], *, seconds: float) -> tuple[int, list[str]]:
    """Send messages that are due, oldest first, until none is left or `seconds` have passed.

    Return the number that were sent, and a sentence for each that was not. A message is sent again if this process dies
    before it is recorded as sent; its id stays the same.
    """
    end, sent, problems = time.monotonic() + seconds, 0, list[str]()
    while time.monotonic() < end and (message := stores.outbox.claim()) is not None:
        try:
            notice = notice_of(stores, message)
            deliver_one(stores, message.recipient, notice, message_id(message), now(), message.job_id)
        except DeliveryError as error:
            after = stores.outbox.not_sent(message, str(error), is_final=error.is_final)
            problems.append(f"{notices.subject(message)} to {message.recipient}: {error}")
            if after is not None and after.next_attempt_at is None:
                problems[-1] += " (given up)"
        else:
            stores.outbox.sent(message)
            sent += 1
    return sent, problems


def deliver_one(
    stores: Stores, recipient: str, notice: Notice, message_id: str, now: datetime, job_id: str | None = None
) -> None:
    """Send a notice to a recipient. Raises `DeliveryError`."""

    def uploader() -> str | None:
        owner = stores.ledger.get(job_id).owner_id if job_id else None
        return next(iter(stores.accounts.emails([owner] if owner else []).values()), None)

    send(recipient, notice, stores.settings, message_id=message_id, now=now, uploader=uploader)


def message_id(message: Message) -> str:
    """Return the id by which receivers recognise a message that they have seen."""
    return f"msg_{message.id}"


def notice_of(stores: Stores, message: Message) -> Notice:
    """Return the words of a message, with the counts as they are now. Raises `DeliveryError` if the job is gone."""
    if message.job_id is not None:
        return _about_job(stores, message.job_id, message.event)
    assert message.due_at is not None
    if message.event == DIGEST:
        return _about_day(stores, message.due_at)
    assert message.table is not None
    try:
        expects = tables.get(message.table).expects
    except UnknownTableError:
        expects = None
    return notices.of_late_file(
        message.table, message.due_at, str(expects or "no longer"), links(stores.settings)
    )


def links(
    settings: Settings, job_id: str | None = None, run_id: str | None = None, *, errors: bool = False
) -> dict[str, str]:
    """Return the pages about a job, or those about all jobs, as far as the settings know their addresses."""
    found: dict[str, str] = {}
    if settings.api_url:
        office = f"{settings.api_url.rstrip('/')}/office/uploads"
        found["Upload" if job_id else "Uploads"] = f"{office}/{job_id}" if job_id else office
        if errors:
            found["All failures"] = f"{office}/{job_id}/{ERRORS_CSV}"
    if run := settings.run_url(run_id):
        found["Run"] = run
    return found


def _about_job(stores: Stores, job_id: str, event: str) -> Notice:
    try:
        job = stores.ledger.get(job_id)
        counts = stores.ledger.counts([job.id])[job.id]
    except NotFoundError as error:
        raise DeliveryError(str(error), is_final=True) from error
    failures = stores.failures.page(job, limit=notices.FIRST_FAILURES).failures
    pages = links(stores.settings, job.id, job.run_id, errors=ERRORS_CSV in job.reports)
    return notices.of_job(job, event, counts, failures, pages, with_values=stores.settings.notify_values)


def _about_day(stores: Stores, until: datetime) -> Notice:
    at = digest_time(stores.settings)
    since = at.previous(until) if at else until - timedelta(days=1)
    open_rows = Counter[str]()
    for job in stores.rejected_rows.open_rows(None, _MOST_OPEN):
        open_rows[job.table] += job.open
    undeliverable = sum(n for status, n in stores.outbox.counts().items() if status == "undeliverable")
    return notices.of_day(
        since, until, stores.outbox.day(since, until), open_rows, undeliverable, links(stores.settings)
    )
