"""The text and the JSON of each message to people. Neither quotes a cell of a file unless the settings allow it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bulk_pipeline import tables
from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline.ledger.failure_reports import ReportLine
from bulk_pipeline.ledger.jobs import ImportJob, Status
from bulk_pipeline.ledger.outbox import DIGEST, Message
from bulk_pipeline.printable import printable
from bulk_pipeline.schema.rules_in_words import limits
from bulk_pipeline.stages.counts import COUNTERS, Counts
from bulk_pipeline.stages.failures import CODES, rule_code

FIRST_FAILURES = 3


@dataclass(frozen=True)
class Notice:
    """A message for people: a title of one line, a text of several, and the same as `data` for programs.

    `type` and `at` stand beside the data: `import.failed`, and the time of what happened.
    """

    type: str
    at: datetime
    title: str
    text: str
    data: Mapping[str, Any]


def of_job(
    job: ImportJob,
    event: str,
    counts: Counts,
    failures: Sequence[ReportLine],
    links: Mapping[str, str],
    *,
    with_values: bool,
) -> Notice:
    """Return the notice about the end of a job. `failures`: the first of its report. `links`: pages by name."""
    file = printable(job.file_name)
    shown = [failure_words(job.table, failure, with_values=with_values) for failure in failures]
    title = f"{job.table}: {file} {_outcome(job, counts)}"
    # An error may quote what the file holds, such as a name of its header.
    error = (
        job.error if with_values or job.error_code is None else f"the file has a problem: {job.error_code}"
    )
    lines = [f"File {file} into table {job.table}: {job.status.replace('_', ' ')}."]
    lines += [f"Reason: {printable(error)}"] if error else []
    lines += [_rows(counts)] if counts.processed else []
    lines += ["First failures:", *(f"- {words}" for words in shown)] if shown else []
    data = {
        "job_id": job.id,
        "table": job.table,
        "file": job.file_name,
        "status": str(job.status),
        "error": error,
        "error_code": job.error_code,
        "counts": {"total": counts.total} | {name: getattr(counts, name) for name in COUNTERS},
        "failures": [_failure(one, words, with_values) for one, words in zip(failures, shown, strict=True)],
    }
    return _notice(f"import.{event}", job.finished_at or job.updated_at, title, lines, data, links)


def of_late_file(table: str, due_at: datetime, expected: str, links: Mapping[str, str]) -> Notice:
    """Return the notice that no file of a table arrived in time. `expected`: the declaration, in words."""
    title = f"{table}: the expected file has not arrived"
    lines = [f"No file for table {table} arrived by {_time(due_at)} (expected {expected})."]
    data = {"table": table, "due_at": due_at.isoformat(), "expected": expected}
    return _notice("table.late", due_at, title, lines, data, links)


def of_day(
    since: datetime,
    until: datetime,
    by_table: Sequence[Mapping[str, Any]],
    open_rows: Mapping[str, int],
    undeliverable: int,
    links: Mapping[str, str],
) -> Notice:
    """Return the digest of a span of time. `by_table`: as `Outbox.day` returns it. `open_rows`: rejected rows that are
    not fixed, by table. `undeliverable`: messages that reached nobody."""
    files, failed = (sum(one[name] for one in by_table) for name in ("files", "failed"))
    title = f"{files:,} {_plural('file', files)} imported, {failed:,} failed"
    lines = [f"From {_time(since)} to {_time(until)}:"]
    lines += [
        f"- {one['table']}: {one['files']:,} {_plural('file', one['files'])} ({one['finished']:,} completed, "
        f"{one['rejected']:,} with rejected rows, {one['failed']:,} failed, {one['cancelled']:,} cancelled); "
        f"{one['rows']:,} rows written, {one['rejected_rows']:,} rejected"
        for one in by_table
    ] or ["- no file was imported"]
    if open_rows:
        said = ", ".join(f"{table} {rows:,}" for table, rows in sorted(open_rows.items()))
        lines.append(f"Rejected rows that are not fixed yet: {said}")
    if undeliverable:
        lines.append(f"Messages that could not be delivered: {undeliverable:,} (bulk-pipeline notify list)")
    data = {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "tables": [dict(one) for one in by_table],
        "open_rows": dict(open_rows),
        "undeliverable": undeliverable,
    }
    return _notice(DIGEST, until, title, lines, data, links)


def of_test(at: datetime, table: str | None, links: Mapping[str, str]) -> Notice:
    """Return the notice by which people see that messages arrive."""
    about = f"table {table}" if table else "every table"
    lines = [f"This is a test. Messages of bulk-pipeline about {about} arrive here."]
    return _notice("test", at, "bulk-pipeline: a test message", lines, {"table": table}, links)


def document(notice: Notice) -> dict[str, Any]:
    """Return the JSON document of a webhook."""
    data = {"title": notice.title, "text": notice.text, **notice.data}
    return {"type": notice.type, "timestamp": notice.at.isoformat(), "data": data}


def failure_words(table: str, failure: ReportLine, *, with_values: bool) -> str:
    """Return a failure in words: `row 7, email: "has a cell that is not in the column's format …"`."""
    place = f"row {failure.row:,}" + (f", {failure.column}" if failure.column else "")
    said = failure.message if with_values else _without_values(table, failure)
    return f'{printable(place)}: "{printable(said)}"'


def subject(message: Message) -> str:
    """Return what a message is about, in a few words."""
    return message.event if message.table is None else f"{message.table} {message.event}"


def _without_values(table: str, failure: ReportLine) -> str:
    """Return the failure in the words of its code and of the declaration, since the report's message quotes cells."""
    try:
        declared = tables.get(table)
    except UnknownTableError:
        declared = None
    for rule in declared.rules if declared else ():
        if failure.code == rule_code(rule.name):
            return rule.message
    known = CODES.get(failure.code)
    meaning = known.meaning if known else f"breaks the rule {failure.code}"
    if declared is None or failure.column not in declared.column_names:
        return meaning
    allowed = "; ".join(
        [declared.column(failure.column).type.facts.label, *limits(declared.column(failure.column))]
    )
    return f"{meaning} (expected: {allowed})"


def _failure(failure: ReportLine, words: str, with_values: bool) -> dict[str, Any]:
    facts = asdict(failure)
    if not with_values:
        del facts["value"]
        facts["message"] = words.partition(": ")[2].strip('"')
    return facts


def _outcome(job: ImportJob, counts: Counts) -> str:
    match job.status:
        case Status.COMPLETED:
            return f"imported, {counts.processed:,} {_plural('row', counts.processed)}"
        case Status.COMPLETED_WITH_ERRORS:
            return f"imported, {counts.rejected:,} of {counts.processed:,} rows rejected"
        case Status.FAILED if counts.rejected and counts.rejected == counts.processed:
            return "failed, every row was rejected"
        case Status.FAILED:
            return "failed"
        case _:
            return str(job.status)


def _rows(counts: Counts) -> str:
    known = counts.processed if counts.total is None else counts.total
    parts = [f"{getattr(counts, name):,} {name}" for name in COUNTERS if getattr(counts, name)]
    return f"Rows: {known:,} in the file; {', '.join(parts)}."


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"


def _notice(
    type_: str,
    at: datetime,
    title: str,
    lines: Sequence[str],
    data: Mapping[str, Any],
    links: Mapping[str, str],
) -> Notice:
    text = "\n".join([*lines, *(f"{name}: {url}" for name, url in links.items())])
    return Notice(type_, at, title, text, {**data, "links": dict(links)})
