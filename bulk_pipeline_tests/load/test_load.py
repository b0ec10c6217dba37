"""A short load on a running stack; `make load` has five minutes of it."""

from bulk_pipeline.bench.harness import rig
from bulk_pipeline_tests.load.campaign import Load, run


def test_many_uploads_at_once_lose_nothing() -> None:
    with rig() as running:
        found = run(running, Load(per_second=20, seconds=4, rows=20, large_rows=2_000), print)
    assert (found["violations"], found["unanswered"]) == ([], [])
    assert (found["files"], found["exports"]) == (82, 4)
    assert all(answers["asked"] for answers in found["answers"].values())
    assert set(found["memory_mb"]) == {"daemon", "code_server", "webserver", "api", "objects", "runs"}
