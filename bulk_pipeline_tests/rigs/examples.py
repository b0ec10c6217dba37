"""A good row of each table, and CSV files of such rows."""

import io
from collections.abc import Callable, Mapping, Sequence

from bulk_pipeline_tests.rigs.pipeline import Pipeline

Cells = dict[str, str]
"""The cells of one row as in CSV, quoted where needed."""

_NO_TIMES = {"created_at": "", "updated_at": ""}


def uid(number: int) -> str:
    """Return an id that is easy to read."""
    return f"00000000-0000-7000-8000-{number:012}"


EXAMPLES: dict[str, Callable[[int], Cells]] = {
    "customers": lambda number: {
        "email": f"u{number}@x.co",
        "first_name": "",
        "last_name": "",
        "phone": "",
        "city": "",
        **_NO_TIMES,
    },
    "users": lambda number: {
        "email": f"u{number}@x.co",
        "name": "Ann",
        "role": "reader",
        "active": "yes",
        **_NO_TIMES,
    },
    "articles": lambda number: {
        "slug": f"a-{number}",
        "title": "A title",
        "body": "A body",
        "author_id": uid(1),
        "tags": "",
        "published_at": "",
        "status": "published",
        **_NO_TIMES,
    },
    "comments": lambda number: {
        "article_id": uid(1),
        "user_id": uid(1),
        "body": "Well said",
        "created_at": "",
    },
}
"""Functions by table that return the cells of a good row, except its id, unique to the row's number."""


def row(table: str, number: int, cells: Mapping[str, str] | None = None) -> Cells:
    """Return a good row, unique to its number, with some cells replaced."""
    return {"id": uid(number), **EXAMPLES[table](number), **(cells or {})}


def csv(rows: Sequence[Cells]) -> bytes:
    """Return the rows as CSV, with the column names of the first row as the header."""
    out = io.StringIO()
    for cells in (list(rows[0]), *(list(cells.values()) for cells in rows)):
        out.write(",".join(cells) + "\n")
    return out.getvalue().encode()


def have_parents(pipeline: Pipeline) -> None:
    """Insert user 1 and article 1, to which other rows refer."""
    pipeline.drop("users/parent.csv", csv([row("users", 1)]))
    pipeline.drop("articles/parent.csv", csv([row("articles", 1)]))
    pipeline.work_off()
    assert pipeline.query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM articles)") == [(1, 1)]
