"""A good row of each table to begin with, and CSV files of such rows."""

import io
from collections.abc import Mapping, Sequence

from bulk_pipeline_tests.integration.conftest import Pipeline

Cells = dict[str, str]
"""Of one row, as CSV has them: quoted where they must be."""


def uid(number: int) -> str:
    """An id that is easy to read."""
    return f"00000000-0000-7000-8000-{number:012}"


def row(table: str, number: int, cells: Mapping[str, str] | None = None) -> Cells:
    """A good row, unlike those with other numbers, with some of its cells replaced."""
    good = {
        "customers": {"email": f"u{number}@x.co", "first_name": "", "last_name": "", "phone": "", "city": ""},
        "users": {"email": f"u{number}@x.co", "name": "Ann", "role": "reader", "active": "yes"},
        "articles": {
            "slug": f"a-{number}",
            "title": "A title",
            "body": "A body",
            "author_id": uid(1),
            "tags": "",
            "published_at": "",
            "status": "published",
        },
        "comments": {"article_id": uid(1), "user_id": uid(1), "body": "Well said"},
    }
    times = {"created_at": ""} if table == "comments" else {"created_at": "", "updated_at": ""}
    return {"id": uid(number), **good[table], **times, **(cells or {})}


def csv(rows: Sequence[Cells]) -> bytes:
    """The rows under the column names of the first."""
    out = io.StringIO()
    for cells in (list(rows[0]), *(list(cells.values()) for cells in rows)):
        out.write(",".join(cells) + "\n")
    return out.getvalue().encode()


def have_parents(pipeline: Pipeline) -> None:
    """User 1 and article 1, for other rows to refer to."""
    pipeline.drop("users/parent.csv", csv([row("users", 1)]))
    pipeline.drop("articles/parent.csv", csv([row("articles", 1)]))
    pipeline.work_off()
    assert pipeline.query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM articles)") == [(1, 1)]
