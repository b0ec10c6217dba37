"""A queue of files of another table during a measurement: one large file, followed by many small ones."""

import io

from bulk_pipeline import tables
from bulk_pipeline.bench import small_files
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError

SMALL_FILES = 500
_SMALL_ROWS = 100
_PREFIX = "burst-"


def send(rig: Rig, table: str, rows: int) -> None:
    """Drop the large file, with `rows` rows, and at once the small ones. The table must have no parents."""
    bucket = rig.stores.settings.s3_bucket_uploads
    large = rig.folder / "burst.csv"
    with large.open("wb") as stream:
        Workload(table=table, rows=rows, seed=0).sample.write(stream)
    numbers = range(1, SMALL_FILES + 1)
    small = {f"{table}/{_PREFIX}{number}.csv": _small(table, number) for number in numbers}
    with large.open("rb") as stream:
        rig.stores.objects.upload(bucket, f"{table}/{_PREFIX}0.csv", stream)
    small_files.put(rig, small)
    large.unlink()


def still_there(rig: Rig, table: str) -> int:
    """Return the number of its unfinished files. Raises `WrongResultError` if there are none: it ended too early."""
    left = 1 + SMALL_FILES - small_files.finished(rig, f"{table}/{_PREFIX}")
    if not left:
        raise WrongResultError(
            f"the files of {table} were all finished too early: use more rows or fewer files"
        )
    return left


def _small(table: str, seed: int) -> bytes:
    content = io.BytesIO()
    Workload(table=table, rows=_SMALL_ROWS, seed=seed).sample.write(content)
    return content.getvalue()


def other_than(table: str) -> str:
    """Return another table without parents."""
    return next(name for name in tables.names() if name != table and not tables.get(name).parents)
