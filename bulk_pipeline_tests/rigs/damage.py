"""Damaged files with the expected outcome of each; many of them pass through one run.

The damages themselves are in `test_bad_input`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bulk_pipeline.ledger.jobs import ImportJob
from bulk_pipeline_tests.rigs.pipeline import Pipeline

HEADER = b"email,first_name,city\n"
ANN, BOB = b"ann@x.co,Ann,Rome\n", b"bob@x.co,Bob,Oslo\n"


@dataclass(frozen=True)
class Outcome:
    """The expected outcome of a file of customers.

    `failures` are written as `"row line column code"`, with - for a missing part. `loaded` are the rows in the table
    afterwards, by the names before the @, sorted. `error` and `warning` are parts of the job's error and warnings.
    """

    status: str
    failures: tuple[str, ...] = ()
    loaded: str = "ann bob"
    error: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Damage:
    """A damaged file and its expected outcome. The file is `text` packed by `pack`, with `declared` as metadata."""

    what: str
    text: bytes
    expected: Outcome
    file: str = "upload.csv"
    encoding: str = ""
    declared: tuple[tuple[str, str], ...] = ()
    pack: Callable[[bytes], bytes] = bytes


def loads(loaded: str = "ann bob", *, warning: str = "") -> Outcome:
    """Return the outcome of a file without rejected rows."""
    return Outcome("completed", (), loaded, warning=warning)


def rejects(*failures: str, loaded: str = "ann bob", warning: str = "") -> Outcome:
    """Return the outcome of a file with some rejected rows."""
    return Outcome("completed_with_errors", failures, loaded, warning=warning)


def fails(error: str) -> Outcome:
    """Return the outcome of a file that cannot be used."""
    return Outcome("failed", (), "", error)


def around(damage: bytes) -> bytes:
    """Return CSV with a good row before and after the damage, which is row 2 in line 3."""
    return HEADER + ANN + damage + BOB


def drop(pipeline: Pipeline, damages: Iterable[Damage]) -> Iterator[tuple[Damage, Outcome]]:
    """Upload the files together, import them, and return their outcomes."""
    numbered = dict(enumerate(damages, 1))
    for number, damage in numbered.items():
        text = damage.text.replace(b"@x.co", b"@%d.co" % number)  # an address may be used once
        metadata = dict(damage.declared) | ({"encoding": damage.encoding} if damage.encoding else {})
        pipeline.drop(f"customers/{number}/{damage.file}", damage.pack(text), **metadata)
    pipeline.work_off()
    for number, damage in numbered.items():
        job = pipeline.job(f"customers/{number}/{damage.file}")
        yield damage, _outcome(pipeline, job, f"{number}.co", damage.expected)


def _outcome(pipeline: Pipeline, job: ImportJob, domain: str, expected: Outcome) -> Outcome:
    """Return the actual outcome, with error and warnings replaced by the expected parts if they contain them."""
    rows = pipeline.query(
        f"SELECT split_part(email, '@', 1) FROM customers WHERE email LIKE '%@{domain}' ORDER BY email"
    )
    counts, failures = pipeline.counts(job), list(_failures(pipeline, job))
    assert counts.unprocessed == 0
    assert (counts.inserted, counts.rejected) == (len(rows), len({place.split()[0] for place in failures}))
    return Outcome(
        job.status,
        tuple(failures),
        " ".join(name for (name,) in rows),
        _told(job.error or "", expected.error),
        _told("; ".join(job.warnings), expected.warning),
    )


def _told(text: str, expected: str) -> str:
    return expected if expected and expected in text else text


def _failures(pipeline: Pipeline, job: ImportJob) -> Iterator[str]:
    for line in pipeline.report(job, "errors.ndjson").splitlines() if job.reports else ():
        failure = json.loads(line)
        place = (failure[name] for name in ("row", "line", "column", "code"))
        yield " ".join("-" if part is None else str(part) for part in place)
