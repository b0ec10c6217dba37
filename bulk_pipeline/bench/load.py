"""`load`: our import of an object in S3, and psql's `\\copy` of the same good rows, in interleaved pairs."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from bulk_pipeline.bench.contest import prepare
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.paired import in_turns
from bulk_pipeline.bench.results import Loads, Measurement, Ours, pair, summary
from bulk_pipeline.bench.workload import Workload

Tell = Callable[[str], None]


def run(rig: Rig, workload: Workload, pairs: int, say: Tell, keys: Iterator[int] | None = None) -> Loads:
    """Measure. Raises `WrongResultError` at the first result that does not match the sample.

    `keys`: numbers for object keys; several workloads on one rig share one iterator.
    """
    contest = prepare(rig, workload, keys or count(1))
    contenders: dict[str, Callable[[], Measurement]] = {"ours": contest.ours, "floor": contest.floor}
    if contest.has_random_ids:
        contenders["floor_random_ids"] = partial(contest.floor, random_ids=True)
    results = []
    for number, measured in enumerate(in_turns(pairs, contenders), 1):
        ours = measured["ours"]
        assert isinstance(ours, Ours)
        result = pair(ours, measured["floor"], measured.get("floor_random_ids"))
        results.append(result)
        say(
            f"pair {number} of {pairs}: {ours.seconds:.2f} s, floor {result.floor.seconds:.2f} s, "
            f"ratio {result.ratio:.2f}"
        )
    file_bytes = contest.upload.stat().st_size
    contest.close()
    return Loads(
        workload=workload,
        parents=workload.parents,
        file_bytes=file_bytes,
        floor=contest.floor_is,
        pairs=tuple(results),
        summary=summary(results),
    )
