"""An example of each broken rule of a table's declaration, in both modes, end to end."""

import json
from dataclasses import dataclass

import pytest

from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.examples import csv, have_parents, row, uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline


@dataclass(frozen=True)
class Example:
    """A good row with some cells replaced, and its failures as `column code`."""

    cells: dict[str, str]
    failures: tuple[str, ...] = ()


def ok(**cells: str) -> Example:
    return Example(cells)


def breaks(*failures: str, **cells: str) -> Example:
    return Example(cells, failures)


NOBODY = uid(999)
LONG_NAME = "é" * 150
TIMES = [
    breaks("created_at bad_type", created_at="yesterday"),
    breaks("created_at out_of_range", created_at="12026-01-01"),
    ok(created_at="2026-01-31T10:00:00+01:00"),
]
UPDATED = [
    breaks("updated_at bad_type", updated_at="2026-13-01"),
    breaks("created_at bad_type", "updated_at bad_type", created_at="-", updated_at="-"),
]
IDS = [
    breaks("id bad_type", id="7"),
    breaks("id bad_type", id=f"cm_{uid(2)}"),
    ok(id=uid(500).upper()),
]
EMAILS = [
    breaks("email required", email=""),
    breaks("email required", email="  "),
    breaks("email required", email='""'),
    *(
        breaks("email bad_format", email=address)
        for address in (
            "foo@bar",
            "@x.co",
            "a@",
            "a@@x.co",
            "a b@x.co",
            '"a,b@x.co"',
            "a@x..co",
            "a@.co",
            "a@x.c",
            "a",
        )
    ),
    breaks("email too_long", email="a" * 315 + "@x.com"),
    breaks("email bad_format", "email too_long", email="a" * 321),
    ok(email="a" * 314 + "@x.com"),
    ok(email="User@x.co"),
    ok(email="user@x.co"),
    ok(email="a+b.c-d_é@sub.x-y.example"),
]
BROKEN = {
    "customers": [
        ok(),
        ok(id=""),
        *IDS,
        *EMAILS,
        ok(first_name=LONG_NAME, last_name=LONG_NAME, phone="1" * 64, city="c" * 128),
        breaks(
            "first_name too_long",
            "last_name too_long",
            "phone too_long",
            "city too_long",
            first_name=LONG_NAME + "e",
            last_name=LONG_NAME + "e",
            phone="1" * 65,
            city="c" * 129,
        ),
        *TIMES,
        *UPDATED,
    ],
    "users": [
        ok(),
        *IDS,
        *EMAILS,
        breaks("name required", name=""),
        ok(name="n" * 1000),
        breaks("role required", role=""),
        *(breaks("role not_allowed", role=role) for role in ("boss", "Admin", '" admin"', "admin;editor")),
        *(ok(role=role) for role in ("admin", "author", "editor", "reader")),
        *(breaks("active bad_type", active=cell) for cell in ("maybe", "2")),
        ok(active=""),
        breaks("email bad_format", "name required", "role not_allowed", email="a", name="", role="x"),
        *TIMES,
        *UPDATED,
    ],
    "articles": [
        ok(),
        *IDS,
        breaks("slug required", slug=""),
        *(
            breaks("slug bad_format", slug=slug)
            for slug in ("Upper", "a b", "a--b", "-a", "a-", "a_b", "ä", '"a\n"', "a/b")
        ),
        ok(slug="a1-2-b3"),
        breaks("title required", "body required", title="", body='""'),
        breaks("author_id required", author_id=""),
        breaks("author_id bad_type", author_id="me"),
        breaks("author_id unknown_reference", author_id=NOBODY),
        ok(author_id=uid(1).upper()),
        breaks("tags bad_type", tags="a;b"),
        breaks("published_at bad_type", published_at="soon"),
        breaks("status required", status=""),
        breaks("status not_allowed", status="Draft"),
        *(ok(status=status) for status in ("draft", "published", "archived")),
        ok(status="published", published_at="2026-01-31"),
        breaks("- rule:draft_is_unpublished", status="draft", published_at="2026-01-31"),
        breaks("published_at bad_type", status="draft", published_at="soon"),
        breaks("slug required", "author_id unknown_reference", slug="", author_id=NOBODY),
        *TIMES,
        *UPDATED,
    ],
    "comments": [
        ok(),
        ok(id=f"cm_{uid(501)}"),
        ok(id=f"cm_{uid(502)}".upper().replace("CM_", "cm_")),
        breaks("id required", id=""),
        breaks("id bad_type", id="7"),
        breaks("id bad_type", id=f"co_{uid(503)}"),
        breaks("article_id required", "user_id required", article_id="", user_id=""),
        breaks("article_id bad_type", article_id=f"cm_{uid(1)}"),
        breaks("article_id unknown_reference", article_id=NOBODY),
        breaks("user_id unknown_reference", user_id=NOBODY),
        breaks(
            "article_id unknown_reference", "user_id unknown_reference", article_id=NOBODY, user_id=NOBODY
        ),
        breaks("body required", body=""),
        breaks("body required", body='" \u00a0\n"'),
        ok(body="w " * 500),
        breaks("body too_long", body="w " * 501),
        ok(body="é" * 10_000),
        breaks("body too_long", body="é" * 10_001),
        breaks("body too_long", "body too_long", body="twenty-one-characters " * 501),
        *TIMES,
    ],
}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("table", BROKEN)
def test_a_row_that_breaks_a_rule_is_rejected_and_says_which(
    pipeline: Pipeline, table: str, mode: Mode
) -> None:
    have_parents(pipeline)
    rows = [row(table, number, example.cells) for number, example in enumerate(BROKEN[table], 2)]
    job = pipeline.load(f"{table}/rules.csv", csv(rows), mode=mode.value)

    result: dict[int, list[str]] = {}
    for failure in map(json.loads, pipeline.report(job, "errors.ndjson").splitlines()):
        result.setdefault(failure["row"], []).append(f"{failure['column'] or '-'} {failure['code']}")
    actual = [
        (example.cells, tuple(result.get(number, ()))) for number, example in enumerate(BROKEN[table], 1)
    ]
    assert actual == [(example.cells, example.failures) for example in BROKEN[table]]
    rejected = sum(example.failures != () for example in BROKEN[table])
    assert pipeline.counts(job) == Counts(total=len(rows), inserted=len(rows) - rejected, rejected=rejected)
    assert job.status == "completed_with_errors"
