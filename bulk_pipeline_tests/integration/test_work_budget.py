"""A file whose work files exceed `BULK_MAX_WORK_BYTES` fails for good before it is loaded, with an error."""

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.pipeline import import_steps
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import S3Folder, Settings
from bulk_pipeline_tests.rigs.dying_import import KEY, breaking, requested
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ROWS = 2_000
CONTENT = b"email,city\n" + b"".join(b"c%d@example.com,%0100d\n" % (n, n) for n in range(ROWS))
TOLD = re.compile(
    r"the work files of this upload have ([\d,]+) bytes, more than BULK_MAX_WORK_BYTES \(([\d,]+)\) allows; "
    r"nothing was loaded: split the file, or raise the setting"
)


@pytest.fixture(params=["folder", "S3"])
def settings(request: pytest.FixtureRequest, settings: Settings, s3_client: s3.Client) -> Settings:
    if request.param == "folder":
        return settings
    bucket = f"work-{uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=bucket)
    return settings.model_copy(update={"bulk_work_dir": S3Folder(bucket, "runs")})


@pytest.fixture
def within(pipeline: Pipeline) -> Iterator["Within"]:
    with Within(pipeline) as within:
        yield within


class Within:
    """Copies of a pipeline with a limit of work files."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._like = pipeline
        self._stores = list[Stores]()

    def __enter__(self) -> "Within":
        return self

    def __exit__(self, *_: object) -> None:
        for stores in self._stores:
            stores.close()

    def __call__(self, most_bytes: int) -> Pipeline:
        settings = self._like.stores.settings.model_copy(update={"bulk_max_work_bytes": most_bytes})
        self._stores.append(Stores(settings))
        return Pipeline(self._stores[-1], self._like.instance)


def files(pipeline: Pipeline, job_id: str) -> list[Path]:
    return [file for file in (pipeline.stores.work.folder / job_id).rglob("*") if file.is_file()]


def mirrored(pipeline: Pipeline, s3_client: s3.Client) -> int:
    place = pipeline.stores.settings.bulk_work_dir
    if isinstance(place, Path):
        return 0
    return sum(
        "json" not in one["Key"] for one in s3_client.list_objects_v2(Bucket=place.bucket).get("Contents", [])
    )


def sizes(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return the bytes of work files before each step."""
    result = dict[str, int]()
    with monkeypatch.context() as patch:
        for name in ("validate_rows", "split_rows"):
            step = getattr(import_steps, name)

            def spying(
                state: import_steps.ImportState, *args: object, name: str = name, step: object = step
            ) -> object:
                result[name] = sum(file.stat().st_size for file in files(pipeline, state.job_id))
                return step(state, *args)  # pyright: ignore[reportCallIssue]

            patch.setattr(import_steps, name, spying)
        assert pipeline.load("customers/before.csv", CONTENT).status is Status.COMPLETED
    with pipeline.stores.postgres.transaction() as connection:
        connection.execute("TRUNCATE customers")
    return result


@pytest.mark.parametrize("step", ["parse", "validate"])
def test_too_much_fails_the_job(
    pipeline: Pipeline, within: Within, s3_client: s3.Client, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = sizes(pipeline, monkeypatch)
    most_bytes = {"parse": before["validate_rows"] // 2, "validate": before["validate_rows"] + 1_000}[step]
    assert most_bytes < before["split_rows"]
    small = within(most_bytes)
    job = small.load(KEY, CONTENT)
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, "too_much_work", 1)
    match = TOLD.fullmatch(str(job.error))
    assert match is not None, job.error
    reached, bound = (int(number.replace(",", "")) for number in match.groups())
    assert (bound, most_bytes < reached <= 2 * most_bytes) == (most_bytes, True)
    assert pipeline.query("SELECT * FROM customers") == []
    assert (files(small, job.id), mirrored(small, s3_client)) == ([], 0)


def test_unpacked_files_count(within: Within) -> None:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"email": [f"c{n}@example.com" for n in range(ROWS)]}), buffer, compression="none"
    )
    content = gzip.compress(buffer.getvalue())
    job = within(len(buffer.getvalue()) - 1).load("customers/a.parquet.gz", content)
    assert (job.status, job.error_code) == (Status.FAILED, "too_much_work")


def test_as_much_as_allowed(pipeline: Pipeline, within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    most_bytes = int(sizes(pipeline, monkeypatch)["split_rows"] * 1.1)
    job = within(most_bytes).load(KEY, CONTENT)
    assert (job.status, pipeline.counts(job).inserted) == (Status.COMPLETED, ROWS)


def test_attempts_do_not_add_up(pipeline: Pipeline, within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    small = within(int(sizes(pipeline, monkeypatch)["split_rows"] * 1.1))
    requested(small, CONTENT)
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(
                import_steps, "load_rows", breaking(import_steps.load_rows, 1, False, ZeroDivisionError())
            )
            small.run(small.job(KEY).id)
    small.work_off()
    job = small.job(KEY)
    assert (job.status, job.attempt, pipeline.counts(job).inserted) == (Status.COMPLETED, 4, ROWS)


def test_a_job_with_committed_rows_ends_although_the_setting_was_lowered(
    pipeline: Pipeline, within: Within, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pipeline.stores.settings.model_copy(
        update={"bulk_batch_rows": 100, "bulk_load_connections": 1}
    )
    with closing(Stores(settings)) as stores, monkeypatch.context() as patch:
        first = Pipeline(stores, pipeline.instance)
        requested(first, CONTENT)
        settle = breaking(PostgresRowStore.settle, 2, True, ZeroDivisionError())
        patch.setattr(PostgresRowStore, "settle", settle)
        first.run(first.job(KEY).id)
    assert pipeline.counts(pipeline.job(KEY)).inserted == 200
    within(1).work_off()
    job = pipeline.job(KEY)
    assert (job.status, job.attempt, pipeline.counts(job).inserted) == (Status.COMPLETED, 2, ROWS)
